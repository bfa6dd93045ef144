# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Shared by the scripts of the test machine: messages, locations of files, and functions to enter a
# root file system.

umask 022

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
MACHINE=$SRC/tools/machine
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ivring

# The kernel to boot and to build for: that of the root file system, or one that ./kernel makes.
KERNEL=${KERNEL:-stock}
case $KERNEL in
stock | rt | debug | kcsan) ;;
*)
	echo "ivring: there is no kernel '$KERNEL': KERNEL must be stock, rt, debug or kcsan" >&2
	exit 2
	;;
esac

# The kernel's Rust sources, test harness and style tools, in the root file system.
KERNEL_SOURCE=/usr/src/ivring-kernel

# The headers of the root file system's kernel, with their Rust metadata.
COMPLETE_HEADERS=/usr/src/ivring-headers

say()
{
	echo "ivring: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# Prints the build directory. Each checkout has its own for each root file system.
build_dir()
{
	echo "$CACHE/build/$(printf '%s %s' "$SRC" "$1" | sha256sum | cut -c1-16)"
}

# Checks for the programs that the machine itself must have, and installs their packages.
need_host_packages()
{
	local missing=()

	command -v bwrap >/dev/null || missing+=(bubblewrap)
	if [ "${1-}" = making ]; then
		command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
		[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
		[ "$(id -u)" = 0 ] || command -v newuidmap >/dev/null || missing+=(uidmap)
	fi
	[ ${#missing[@]} -gt 0 ] || return 0

	command -v apt-get >/dev/null ||
		die "this machine lacks ${missing[*]}, and has no apt-get: install them by hand and run this again."
	[ "$(id -u)" = 0 ] ||
		die "this machine lacks ${missing[*]}: run 'sudo apt-get install ${missing[*]}' and then run this again."
	say "installing on this machine: ${missing[*]}"
	{
		apt-get update && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y --no-install-recommends "${missing[@]}"
	} >"$CACHE/apt.log" 2>&1 ||
		die "apt-get cannot install ${missing[*]}: see $CACHE/apt.log, check the network and the package sources, and run this again."
}

# enter ROOT [bwrap options] -- COMMAND: run COMMAND in the root file system ROOT, as root of a user
# namespace, with the network and the certificates of this machine. ROOT is read-only unless WRITABLE
# is set. "/" is a tmpfs, so that any path can be bound except paths below directories of ROOT.
enter()
{
	local root=$1 home=/root args=() name var
	shift

	[ "$(id -u)" = 0 ] || args+=(--unshare-user --uid 0 --gid 0 --cap-add ALL)
	args+=(--unshare-pid --unshare-ipc --die-with-parent --clearenv
		--setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		--setenv HOME "$home" --setenv LANG C.UTF-8 --setenv TERM "${TERM:-dumb}")
	if [ -n "${WRITABLE-}" ]; then
		args+=(--bind "$root" /)
	else
		for name in usr etc boot; do
			args+=(--ro-bind "$root/$name" "/$name")
		done
		for name in bin sbin lib lib32 lib64 libx32; do
			[ ! -L "$root/$name" ] || args+=(--symlink "usr/$name" "/$name")
		done
		for name in home mnt opt root run srv var/cache var/lib var/log var/tmp; do
			args+=(--dir "/$name")
		done
	fi
	args+=(--perms 1777 --tmpfs /tmp --proc /proc --ro-bind /sys /sys
		--dev /dev --dev-bind-try /dev/kvm /dev/kvm)
	for name in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
		[ ! -e "$name" ] || args+=(--ro-bind "$name" "$name")
	done
	args+=(--ro-bind-try "$HOME/.config/pip" "$home/.config/pip")

	# Settings of mirrors, proxies and certificates apply inside too.
	while read -r var; do
		case $var in
		CARGO_HOME | CARGO_TARGET_DIR | CARGO_MANIFEST_DIR | CARGO_PKG_*)
			continue
			;;
		SSL_CERT_FILE | CURL_CA_BUNDLE | REQUESTS_CA_BUNDLE | PIP_CERT | CARGO_HTTP_CAINFO)
			[ -f "${!var}" ] || continue
			args+=(--ro-bind "${!var}" "/run/certificates/$var" --setenv "$var" "/run/certificates/$var")
			;;
		PIP_* | CARGO_* | http_proxy | https_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | CI | V | VERBOSE)
			args+=(--setenv "$var" "${!var}")
			;;
		esac
	done < <(compgen -e)
	bwrap "${args[@]}" "$@"
}

# enter_checkout ROOT [bwrap options] -- COMMAND: the same with the checkout, its build directory and
# the downloads of cargo at their own paths, which are also in environment variables. A kernel that
# ./kernel has made is in /kernel.
enter_checkout()
{
	local root=$1 build dir dirs=() name cargo=${CARGO_HOME:-$HOME/.cargo} module=module kernel kdir
	shift

	for dir in "$SRC" "$CACHE"; do
		case $dir/ in
		/usr/* | /etc/* | /boot/*) die "$dir is a directory of the root file system too: use a directory elsewhere." ;;
		esac
	done
	build=$(build_dir "$root")
	mkdir -p "$build"/{cargo,c} "$CACHE/cargo"
	touch "$build"
	# Other users of the guest must be able to run the programs.
	for name in "$SRC" "$build" "$CACHE/cargo"; do
		while name=$(dirname "$name") && [ "$name" != / ]; do
			dirs=(--dir "$name" "${dirs[@]}")
		done
	done
	if [ "$KERNEL" = stock ]; then
		kdir=(--setenv KDIR "$COMPLETE_HEADERS")
	else
		module=module-$KERNEL
		kernel=$("$MACHINE/kernel" "$KERNEL")
		kdir=(--ro-bind "$kernel" /kernel --setenv KDIR /kernel)
	fi
	[ ! -e "$cargo/config.toml" ] || set -- --ro-bind "$cargo/config.toml" "$CACHE/cargo/config.toml" "$@"
	enter "$root/tree" "${dirs[@]}" --bind "$SRC" "$SRC" --bind "$build" "$build" --bind "$CACHE/cargo" "$CACHE/cargo" \
		--setenv CARGO_HOME "$CACHE/cargo" --setenv CARGO_TARGET_DIR "$build/cargo" \
		--setenv IVRING_SRC "$SRC" --setenv IVRING_BUILD "$build" \
		--setenv IVRING_MODULE "$build/$module/ivring.ko" "${kdir[@]}" \
		--setenv KERNEL_SOURCE $KERNEL_SOURCE \
		--setenv KSELFTEST_DIR $KERNEL_SOURCE/tools/testing/selftests \
		--chdir "$SRC" "$@"
}
