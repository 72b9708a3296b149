# The verbs of the project. Each is a step of .ci/run, so that none of them rots.

.PHONY: all check test demo e2e soak fuzz mutants coverage

all:
	bash .ci/run

check:
	bash .ci/run format lint doc features deny template

test:
	bash .ci/run test

demo:
	cargo run --locked --example demo

e2e:
	bash .ci/run e2e

soak:
	cargo test --release --locked --test soak -- --nocapture

# Needs cargo-mutants. The second pass is over what the first missed, with the real binary too.
mutants:
	cargo mutants
	cargo mutants --iterate -- --test process --test hostile --test self_check --test crowd

# Needs cargo-llvm-cov and the component llvm-tools. The real binary is measured too.
coverage:
	cargo llvm-cov --locked --summary-only --ignore-filename-regex 'tests/|examples/' --workspace

# Needs nightly and cargo-fuzz.
fuzz:
	cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none event tests/fuzz/corpus/event events -- -runs=10000000 -max_len=8192
