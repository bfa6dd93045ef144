# SPDX-License-Identifier: GPL-2.0
#
# The targets that people call; "make help" lists them. The kernel's build reads Kbuild instead.

KDIR ?= /lib/modules/$(shell uname -r)/build
MACHINE := tools/machine

.PHONY: modules modules_install modules_uninstall clean help root demo check check-all soak fuzz coverage bench lint

# Modules must be built by clang if the kernel was built by clang.
LLVM ?= $(shell grep -qsx CONFIG_CC_IS_CLANG=y '$(KDIR)/include/config/auto.conf' && echo 1)
RUSTC ?= rustc
KBUILD_ARGS = $(if $(LLVM),LLVM=$(LLVM)) RUSTC='$(RUSTC)' M='$(CURDIR)'

# Shell commands for recipes: they set the directory to build against, and the kernel's release.
HEADERS = headers=$$(RUSTC='$(RUSTC)' $(MACHINE)/headers '$(KDIR)')
RELEASE = release=$$($(MACHINE)/headers --release '$(KDIR)')

modules:
	@$(HEADERS) && $(MAKE) -C "$$headers" $(KBUILD_ARGS) modules

# The kernel's build does not run depmod if the headers have no System.map, such as Debian's headers, so
# modules_install runs depmod itself. It does not check for the compilers, because root may have another PATH.
DEPMOD ?= depmod
INSTALL_MOD_DIR ?= updates
RUN_DEPMOD = PATH="$$PATH:/usr/sbin:/sbin" $(DEPMOD) $(if $(INSTALL_MOD_PATH),-b '$(INSTALL_MOD_PATH)') "$$release"

modules_install:
	@$(RELEASE) && $(MAKE) -C '$(KDIR)' $(KBUILD_ARGS) INSTALL_MOD_DIR='$(INSTALL_MOD_DIR)' modules_install && \
		{ [ -r '$(KDIR)/System.map' ] || { echo "  DEPMOD  $$release" && $(RUN_DEPMOD); }; }

modules_uninstall:
	@$(RELEASE) && rm -f '$(INSTALL_MOD_PATH)'/lib/modules/"$$release"/'$(INSTALL_MOD_DIR)'/ivring.ko* && $(RUN_DEPMOD)

clean:
	$(MAKE) -C '$(KDIR)' $(KBUILD_ARGS) clean

help:
	@echo 'make                     build ivring.ko for the running kernel, or for KDIR=...'
	@echo 'make modules_install     install ivring.ko below /lib/modules'
	@echo 'make modules_uninstall   remove ivring.ko from there'
	@echo 'make clean               remove everything that make has built'
	@echo
	@echo 'These targets need no preparation. They keep what they fetch and build in ~/.cache/ivring:'
	@echo 'make demo                boot a virtual machine, load the module, run the samples'
	@echo 'make check               run the tests; tests of the module run in the virtual machine'
	@echo 'make check KERNEL=debug  run the tests of the module under KASAN, lockdep, fault injection'
	@echo 'make check KERNEL=kcsan  run them under a kernel that finds data races'
	@echo 'make check KERNEL=rt     run them under the real-time kernel (PREEMPT_RT)'
	@echo 'make check-all           run all tests, on all kernels'
	@echo 'make soak DURATION=60    let members attach, exchange items and be killed for 60 seconds'
	@echo 'make fuzz DURATION=60    call the module with random arguments for 60 seconds'
	@echo 'make fuzz SEED=N         repeat the run with seed N; works with soak too'
	@echo 'make coverage            report which lines of the module the tests reach'
	@echo 'make bench               measure for ten to twenty minutes, on a machine that does nothing else'
	@echo 'make lint                check style and run the linters'
	@echo 'make root                only make the root file system that these targets use'

root:
	@$(MACHINE)/root

demo:
	@$(MACHINE)/demo

check:
	@$(MACHINE)/check

check-all:
	@$(MACHINE)/check --all

DURATION ?= 60
soak fuzz:
	@$(MACHINE)/enter -- make --no-print-directory all-parts >&2
	@$(MACHINE)/boot -t $$(($(DURATION) + 900)) -- env $(SEED:%=IVRING_SEED=%) selftests/run -d $(DURATION) -t $@

coverage:
	@tools/coverage/run

bench:
	@$(MACHINE)/bench

lint:
	@$(MACHINE)/enter -- make --no-print-directory --keep-going style

# The targets below run inside the root file system. Its scripts set the variables that they use.
.PHONY: all-parts coverage-modules unit-tests style style-format style-crates style-module style-c style-shell style-cycles

# The kernels that tools/machine/kernel builds have no debug information, so their modules ask for it.
DEBUG_INFO := $(if $(LLVM),KRUSTFLAGS=-Cdebuginfo=2 KCFLAGS=-g)

all-parts:
	@echo 'building the module, the libraries, the samples and the tests'
	@mkdir -p $(dir $(IVRING_MODULE))
	@$(HEADERS) && $(MAKE) -s -C "$$headers" $(KBUILD_ARGS) MO=$(patsubst %/,%,$(dir $(IVRING_MODULE))) $(DEBUG_INFO) modules
	@$(MAKE) -s -C tools/libivring OUTPUT=$(IVRING_BUILD)/c/libivring all tests
	@$(MAKE) -s -C samples OUTPUT=$(IVRING_BUILD)/c/samples
	@$(MAKE) -s -C selftests OUTPUT=$(IVRING_BUILD)/c/selftests KSELFTEST_DIR=$(KSELFTEST_DIR)
	@$(MAKE) -s -C selftests/conformance OUTPUT=$(IVRING_BUILD)/c/selftests LIBIVRING=$(IVRING_BUILD)/c/libivring
	@cargo build --release --workspace

# KERNEL is the name of the kernel, as in tools/machine.
coverage-modules:
	@LLVM='$(LLVM)' tools/coverage/build '$(KERNEL)'

unit-tests:
	@Documentation/check-claims
	@selftests/own-races-test
	@$(MAKE) -s -C tools/libivring OUTPUT=$(IVRING_BUILD)/c/libivring check
	@cargo test --workspace --exclude ivring-loom
	@cargo test --release -p ivring-loom

style: style-format style-crates style-module style-c style-shell style-cycles

style-format:
	rustfmt --check --edition 2021 --config-path $(KERNEL_SOURCE)/.rustfmt.toml $$(find rust -name "*.rs")
	cargo fmt --all --check

style-crates:
	cargo clippy --workspace --all-targets -- -D warnings

style-module:
	@mkdir -p $(IVRING_BUILD)/clippy
	$(MAKE) -C $(KDIR) $(KBUILD_ARGS) MO=$(IVRING_BUILD)/clippy CLIPPY=1 CLIPPY_CONF_DIR=$(KERNEL_SOURCE) KRUSTFLAGS=-Dwarnings modules

# Warnings that apply only to kernel code are ignored, because user-space code is checked too.
style-c:
	find include rust tools samples selftests -name '*.[ch]' -exec \
		$(KERNEL_SOURCE)/scripts/checkpatch.pl --no-tree --no-summary --quiet --terse --show-types \
		--ignore EMBEDDED_FUNCTION_NAME,ENOSYS,STRCPY,STRNCPY,VOLATILE -f {} +

style-shell:
	shellcheck --severity=info --external-sources --source-path=. .ci/run selftests/run samples/demo \
		selftests/conformance/run selftests/own-races-test Documentation/check-claims tools/lint/cycles-test tools/sanitize tools/coverage/build tools/coverage/run $(wildcard tools/models/*/run) \
		$(filter-out %/packages %/kernels,$(wildcard $(MACHINE)/*)) $(MACHINE)/kernels/build $(MACHINE)/kernels/rt

style-cycles:
	tools/lint/cycles-test
	tools/lint/cycles rust tools/ivring tools/ivring-protocol tools/libivring
