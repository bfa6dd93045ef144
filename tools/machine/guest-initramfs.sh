# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# How ./boot runs a guest whose kernel has no drivers, and whose file system therefore is in memory.

# Process 1 of the guest. Only the command's output goes to the first serial port.
cat >"$JOB/init" <<END
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/usr/bin:/bin HOME=/root
mkdir -p /proc /sys /dev /tmp /run /root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debugfs /sys/kernel/debug
mkdir -p /dev/shm /sys/fs/cgroup
mount -t tmpfs -o mode=1777 shm /dev/shm
# This is a directory, not a mount, because the checkout may be below it.
chmod 1777 /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
stty -F /dev/ttyS0 -opost
echo "the command begins"
. /environment
cd ${SRC@Q}
${@@Q} >/dev/ttyS0 2>&1 </dev/null
status=\$?
echo "the command ended with status \$status."
echo "== exit \$status" >/dev/ttyS0
poweroff -f
END

# Runs in the root file system: makes the guest's file system, and starts the guest.
LEVEL=5
[ -z "${VERBOSE-}" ] || LEVEL=7
cat >"$JOB/start" <<END
set -e
sh -c 'export -p' | grep -E ' (IVRING_|CARGO_TARGET_DIR|KERNEL_SOURCE)' >/tmp/environment
contents=(/tmp/environment:/environment "\$IVRING_MODULE" "\$IVRING_SRC/selftests"
	"\$IVRING_BUILD/c/selftests" "\$IVRING_BUILD/c/libivring/tests")
for name in bash dd dirname basename grep mktemp realpath sed setpriv sort timeout unshare; do
	contents+=("\$(command -v \$name):/usr/bin/\$name")
done
contents+=(/usr/bin/bash:/bin/bash)
for program in "\$CARGO_TARGET_DIR"/release/ivring-*; do
	case \$program in
	*.d) ;;
	*) contents+=("\$program") ;;
	esac
done
tools/machine/initramfs /tmp/initramfs /tmp/job/init "\${contents[@]}"
qemu-system-x86_64 -M q35,hpet=off -cpu max,-la57 -accel $([ "$ACCEL" = tcg ] && echo tcg,thread=multi || echo "$ACCEL") \
	-smp $CPUS -m ${MEMORY:-3G} -display none -nodefaults -net none -no-reboot -monitor none \
	-serial stdio -chardev file,id=log,path=/tmp/job/console -serial chardev:log \
	-kernel /kernel/bzImage -initrd /tmp/initramfs -append \
	"console=ttyS1 loglevel=$LEVEL panic=-1 oops=panic log_buf_len=16M kasan_multi_shot slab_debug=- 8250.nr_uarts=2 no_timer_check $PARAMETERS" &
guest=\$!
(
	sleep $((START_LIMIT * 2))
	grep -q "the command begins" /tmp/job/console || kill \$guest
) >/dev/null 2>&1 &
wait \$guest
END

# The last line of the output is the status of the command.
run()
{
	local status=0

	timeout --foreground -k 10 "$SECONDS_LIMIT" \
		"$MACHINE/enter" --bind "$JOB" /tmp/job -- bash /tmp/job/start </dev/null |
		awk -v status="$JOB/status" '
			/^== exit [0-9]+$/ { print $3 >status; exit }
			{ print; fflush() }' || status=${PIPESTATUS[0]}
	if [ -e "$JOB/status" ]; then
		return "$(cat "$JOB/status")"
	fi
	[ "$status" = 124 ] || [ "$status" = 137 ] || status=255
	return "$status"
}
