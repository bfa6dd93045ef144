# SPDX-License-Identifier: GPL-2.0
#
# usage: awk -f own-races.awk [FILE...]
#
# Copies records of the kernel's log, as /dev/kmsg has them, but for KCSAN's reports of races in which
# the module has no part: KCSAN tells of those in all of the kernel. The module has a part in a race
#
#   - if it, or a function that it calls, makes one of the accesses;
#   - or if it is in the stacks of both, and so was to order them.
#
# What an interrupt found running is in its stack, but has no part in what it does.

function report()
{
	if (!is_race || is_own || with_module == accesses)
		printf "%s", text
}

# A report stands between two rules, as others do.
/==================================================/ {
	inside = !inside
	if (inside) {
		text = $0 "\n"
		is_race = is_own = accesses = with_module = 0
	} else {
		text = text $0 "\n"
		report()
	}
	next
}

!inside {
	print
	next
}

{ text = text $0 "\n" }

/BUG: KCSAN/ { is_race = 1 }

/ to 0x[0-9a-f]+ of [0-9]+ bytes by / {
	accesses++
	depth = in_module = interrupted = 0
	next
}

/; +\+-> reordered to: .*\[ivring\]/ { is_own = 1 }

/; asm_(sysvec|common_interrupt)/ { interrupted = 1 }

/; [A-Za-z_]/ && accesses && !interrupted {
	depth++
	if (/\[ivring\]/) {
		if (depth <= 2)
			is_own = 1
		if (!in_module++)
			with_module++
	}
}

# It may have ended within one.
END {
	if (inside)
		report()
}
