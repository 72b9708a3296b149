# The verbs of the project. Each is a step of .ci/run, so that none of them rots.

.PHONY: all check test demo e2e fuzz

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

# Needs nightly and cargo-fuzz.
fuzz:
	cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none event tests/fuzz/corpus/event events -- -runs=10000000 -max_len=8192
