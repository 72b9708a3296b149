# The verbs of the project. Each is a step of .ci/run, so that none of them rots.

.PHONY: all check test demo

all:
	bash .ci/run

check:
	bash .ci/run format lint doc features deny

test:
	bash .ci/run test

demo:
	cargo run --locked --example demo
