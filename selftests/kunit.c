// SPDX-License-Identifier: GPL-2.0
/*
 * The KUnit suites of the module ran when it was loaded, and have all passed. Needs root,
 * and a kernel and a module with CONFIG_KUNIT.
 */
#include <dirent.h>

#include "ivring_test.h"

#define RESULTS	"/sys/kernel/debug/kunit"

/* One entry per file that has a suite. */
static const char * const suites[] = {
	"ivring_account", "ivring_area", "ivring_backing", "ivring_bell",
	"ivring_enqueue", "ivring_file", "ivring_kept", "ivring_lane", "ivring_lanes", "ivring_layout",
	"ivring_mmap", "ivring_name", "ivring_nospec", "ivring_outbox", "ivring_progress",
	"ivring_quiet", "ivring_region", "ivring_registry", "ivring_ring",
	"ivring_room", "ivring_state", "ivring_user", "ivring_waitqueue", "ivring_watches",
};

FIXTURE(kunit) {
	char line[512];
};

FIXTURE_SETUP(kunit)
{
	if (access(RESULTS, F_OK))
		SKIP(return, "the kernel has no KUnit");
}

FIXTURE_TEARDOWN(kunit)
{
}

/*
 * Each suite has a file in TAP: the indented results of its tests, then the result of the
 * suite. A suite that did not end has no result.
 */
TEST_F(kunit, passed)
{
	char path[128];
	int passed, failed, ok;
	unsigned int i;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		snprintf(path, sizeof(path), RESULTS "/%s/results", suites[i]);
		f = fopen(path, "r");
		ASSERT_NE(NULL, f) {
			TH_LOG("%s did not run", suites[i]);
		}
		passed = 0;
		failed = 0;
		ok = 0;
		while (fgets(self->line, sizeof(self->line), f)) {
			passed += !strncmp(self->line, "    ok ", 7);
			ok += !strncmp(self->line, "ok ", 3);
			if (strstr(self->line, "not ok ") || strstr(self->line, "# SKIP") ||
			    strstr(self->line, "Expected ") || strstr(self->line, "FAILED")) {
				TH_LOG("%s: %.*s", suites[i],
				       (int)strcspn(self->line, "\n"), self->line);
				failed++;
			}
		}
		fclose(f);
		EXPECT_EQ(0, failed);
		EXPECT_EQ(1, ok);
		EXPECT_LT(0, passed);
	}
}

/* The table names every suite. */
TEST_F(kunit, listed)
{
	struct dirent *entry;
	unsigned int found = 0, i;
	DIR *dir;

	dir = opendir(RESULTS);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "ivring_", 7))
			continue;
		for (i = 0; i < ARRAY_SIZE(suites); i++)
			if (!strcmp(entry->d_name, suites[i]))
				break;
		EXPECT_GT(ARRAY_SIZE(suites), i) {
			TH_LOG("%s is not listed", entry->d_name);
		}
		found++;
	}
	closedir(dir);
	EXPECT_EQ(ARRAY_SIZE(suites), found);
}

TEST_HARNESS_MAIN
