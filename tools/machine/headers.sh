# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions that read a directory of kernel headers. The script that sources this file has a function
# "die", which prints a sentence and exits.

# The directory where ./complete-headers puts the headers of a kernel release by default, and where
# ./headers looks for them.
completed_headers() # RELEASE
{
	echo "/var/cache/ivring/headers/$1"
}

release_of() # HEADERS
{
	sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$1/include/generated/utsrelease.h" 2>/dev/null || true
}

# Prints the value of an option of the configuration, without quotation marks.
config() # HEADERS OPTION
{
	sed -n "s/^CONFIG_$2=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$1/include/config/auto.conf"
}

need_rust() # HEADERS
{
	[ "$(config "$1" RUST)" = y ] ||
		die "kernel $(release_of "$1") is built without CONFIG_RUST: use a kernel that is built with it, such as the newest one in Debian's backports, and its headers."
}

# Only the compiler version that wrote the metadata can read them.
need_same_version() # HEADERS OPTION PROGRAM
{
	local want found

	want=$(config "$1" "$2")
	[ -n "$want" ] || return 0
	found=$("$3" --version 2>/dev/null | head -n 1) || found=
	[ "$found" = "$want" ] ||
		die "kernel $(release_of "$1") was built with '$want', but this system has '${found:-no $3}': install the version of the kernel, from the suite that the kernel comes from."
}

# Prints the name of the distribution and the version of the kernel's package, if the headers name them.
package_of() # HEADERS
{
	sed -n 's/^#define LINUX_PACKAGE_ID " *\(.*\)"$/\1/p' "$1/include/generated/package.h" 2>/dev/null || true
}

# Prints what headers are completed from. The file made-from of completed headers has the same lines;
# the completed headers are out of date if the lines differ.
made_from() # HEADERS
{
	echo "headers $1"
	echo "package $(package_of "$1")"
	(cd "$1" && sha256sum .config Module.symvers)
	"${RUSTC:-rustc}" --version
}

# Prints the directory that completed headers were made from. Prints nothing if they are not complete.
recorded_headers() # COMPLETED
{
	sed -n '1s/^headers //p' "$1/made-from" 2>/dev/null || true
}
