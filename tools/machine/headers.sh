# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What is read from a directory of kernel headers. The script that sources this file has a function
# "die", which prints a sentence and exits.

# Where ./complete-headers puts the headers of a kernel release if it is not told, and where
# ./headers finds them.
completed_headers() # RELEASE
{
	echo "/var/cache/ivring/headers/$1"
}

release_of() # HEADERS
{
	sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$1/include/generated/utsrelease.h" 2>/dev/null || true
}

# An option of the configuration, without its quotation marks.
config() # HEADERS OPTION
{
	sed -n "s/^CONFIG_$2=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$1/include/config/auto.conf"
}

need_rust() # HEADERS
{
	[ "$(config "$1" RUST)" = y ] ||
		die "kernel $(release_of "$1") is built without CONFIG_RUST: choose one that is built with it, such as Debian's newest from backports, and its headers."
}

# Metadata can be read by no other compiler than the one that wrote them.
need_same_version() # HEADERS OPTION PROGRAM
{
	local want found

	want=$(config "$1" "$2")
	[ -n "$want" ] || return 0
	found=$("$3" --version 2>/dev/null | head -n 1) || found=
	[ "$found" = "$want" ] ||
		die "kernel $(release_of "$1") was built with '$want', and here is '${found:-no $3}': install that version, from the suite that the kernel comes from."
}

# The distribution's name and version of the kernel's package, if the headers say so.
package_of() # HEADERS
{
	sed -n 's/^#define LINUX_PACKAGE_ID " *\(.*\)"$/\1/p' "$1/include/generated/package.h" 2>/dev/null || true
}

# What completed headers were made from, which is recorded in their file made-from: they are stale
# when this has changed.
made_from() # HEADERS
{
	echo "headers $1"
	echo "package $(package_of "$1")"
	(cd "$1" && sha256sum .config Module.symvers)
	"${RUSTC:-rustc}" --version
}

# The headers that completed headers were made from; nothing if they are not complete.
recorded_headers() # COMPLETED
{
	sed -n '1s/^headers //p' "$1/made-from" 2>/dev/null || true
}
