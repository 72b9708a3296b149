# The verbs of the project. Most run steps of .ci/run; `fuzz`, `mutants` and `coverage` need tools of their own.

.PHONY: all check test demo dist e2e soak bench fuzz mutants coverage

all:
	bash .ci/run

check:
	bash .ci/run format lint doc features deny template

test:
	bash .ci/run test

demo:
	cargo run --locked --example demo

# The archive that deploys without Rust.
dist:
	bash .ci/run build dist

e2e:
	bash .ci/run build dist e2e

# 20,000 invocations of the release binary, and what it weighs.
soak:
	bash .ci/run build
	FUNCTION_BINARY=$(CURDIR)/.aws-sam/build/Function/bootstrap cargo test --locked --test size --test soak -- --nocapture

# Needs control groups for one of its tables, which says so where it cannot make any.
bench:
	bash .ci/run build bench

# Needs cargo-mutants. The second pass is over what the first missed, with the real binary too.
mutants:
	cargo mutants
	cargo mutants --iterate -- --test process

# Needs cargo-llvm-cov and the component llvm-tools. The real binary is measured too.
coverage:
	cargo llvm-cov --locked --summary-only --ignore-filename-regex 'tests/|examples/' --workspace

# Needs nightly and cargo-fuzz.
fuzz:
	cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none event tests/fuzz/corpus/event events -- -runs=10000000 -max_len=8192
