# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# How ./boot runs a guest with the root file system that everything else runs in: by virtme-ng.

# Runs in the guest. It is a file because a kernel's command line is short.
# virtme-ng mounts an overlay on /tmp if overlayfs is built into the kernel. Otherwise a tmpfs is mounted
# on /tmp, and the directories that the root file system has there are mounted again.
cat >"$JOB/command" <<END
if [ ! -w /tmp ]; then
	mkdir /run/ivring-tmp
	mount -t tmpfs -o mode=1777 tmp /run/ivring-tmp
	for name in /tmp/*/; do
		mkdir "/run/ivring-\${name#/}"
		mount --rbind "\$name" "/run/ivring-\${name#/}"
	done
	mount --rbind /run/ivring-tmp /tmp
fi
echo "the command begins" >/dev/ttyS1
. /tmp/job/environment
cd ${SRC@Q}
${@@Q}
status=\$?
echo "the command ended with status \$status." >/dev/ttyS1
exit \$status
END

# Runs in the root file system. All processes that it starts end with it.
cat >"$JOB/start" <<END
export -p >/tmp/job/environment
"\$@" &
(
	sleep $START_LIMIT
	grep -q "the command begins" /tmp/job/console || kill \$!
) >/dev/null 2>&1 3>&- &
wait %1
END

# The kernel's messages go to a second serial port, and are printed only if something went wrong. This
# does not use console=, because the driver serves one port only and virtme-ng has taken the first.
IMAGE=/boot/vmlinuz-$(cat "$ROOT/kernel")
[ "$KERNEL" = stock ] || IMAGE=/kernel/bzImage
LEVEL=5
[ -z "${VERBOSE-}" ] || LEVEL=7
OPTIONS=(--run "$IMAGE" --cpus "$CPUS" --memory "${MEMORY:-2G}"
	--qemu-opts="-chardev file,id=log,path=/tmp/job/console -serial chardev:log"
	--disable-microvm --append "earlycon=uart8250,io,0x2f8,115200 keep_bootcon no_timer_check cryptomgr.notests loglevel=$LEVEL $PARAMETERS")
if [ "$ACCEL" = tcg ]; then
	OPTIONS+=(--disable-kvm --qemu-opts="-accel tcg,thread=multi -machine hpet=off")
fi

# virtme-ng opens its output again by name. This truncates a file, and fails if the file belongs to
# another user, so its output is a pipe.
run()
{
	{
		timeout --foreground -k 10 "$SECONDS_LIMIT" \
			"$MACHINE/enter" --bind "$JOB" /tmp/job -- bash /tmp/job/start \
			vng "${OPTIONS[@]}" -- 'exec bash /tmp/job/command' \
			</dev/null 2>&1 1>&3 3>&- | cat >&2
	} 3>&1 | cat
}
