// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps what the instrumented module has counted, however often that is loaded and unloaded:
 * debugfs's "ivring_coverage" is a raw profile as LLVM 19 writes it (INSTR_PROF_RAW_HEADER and
 * what follows it in InstrProfData.inc). It counts what happened up to the last unloading.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "sections.h"

#define RAW_MAGIC	0xff6c70726f667281ULL	/* "\xfflprofr\x81" */
#define RAW_VERSION	10
#define LAST_VALUE_KIND	2

struct header {
	u64 magic;
	u64 version;
	u64 binary_ids_size;
	u64 nr_records;
	u64 padding_before_counters;
	u64 nr_counters;
	u64 padding_after_counters;
	u64 nr_bitmap_bytes;
	u64 padding_after_bitmap_bytes;
	u64 names_size;
	u64 counters_delta;
	u64 bitmap_delta;
	u64 names_delta;
	u64 nr_vtables;
	u64 vtable_names_size;
	u64 last_value_kind;
};

static_assert(sizeof(struct record) == 64);
static_assert(sizeof(struct header) == 128);

static struct debugfs_blob_wrapper profile;
static struct dentry *file;
/* Of the module that is loaded now. */
static const struct sections *sections;

/* What is the same each time that the module is loaded, and counters of zero. */
static int make_profile(void)
{
	size_t records_size = (void *)sections->records_end - (void *)sections->records;
	size_t counters_size = (void *)sections->counters_end - (void *)sections->counters;
	size_t names_size = sections->names_end - sections->names;
	struct header header = {
		.magic = RAW_MAGIC,
		.version = RAW_VERSION,
		.nr_records = records_size / sizeof(struct record),
		.nr_counters = counters_size / sizeof(u64),
		.names_size = names_size,
		.counters_delta = (u64)sections->counters - (u64)sections->records,
		.names_delta = (u64)sections->names,
		.last_value_kind = LAST_VALUE_KIND,
	};
	size_t size = sizeof(header) + records_size + counters_size + ALIGN(names_size, 8);
	void *data = kvzalloc(size, GFP_KERNEL);

	if (!data)
		return -ENOMEM;
	profile.data = data;
	profile.size = size;
	memcpy(data, &header, sizeof(header));
	data += sizeof(header);
	memcpy(data, sections->records, records_size);
	data += records_size + counters_size;
	memcpy(data, sections->names, names_size);
	file = debugfs_create_blob("ivring_coverage", 0400, NULL, &profile);
	return 0;
}

static void add_counters(void)
{
	struct header *header = profile.data;
	struct record *records = (void *)(header + 1);
	u64 *sum = (void *)(records + header->nr_records);
	size_t i;

	for (i = 0; i < header->nr_counters; i++)
		sum[i] += sections->counters[i];
}

static int on_module(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *module = data;

	if (strcmp(module->name, "ivring"))
		return NOTIFY_DONE;
	if (state == MODULE_STATE_LIVE) {
		sections = __symbol_get("ivring_sections");
		if (!sections)
			return NOTIFY_DONE;
		/* It stays until the module says that it goes. */
		__symbol_put("ivring_sections");
	} else if (state == MODULE_STATE_GOING && sections) {
		/* No code of it runs any more, not even that of its exit. */
		if (profile.data || !make_profile())
			add_counters();
		sections = NULL;
	}
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = on_module };

static int __init coverage_init(void)
{
	return register_module_notifier(&notifier);
}
module_init(coverage_init);

static void __exit coverage_exit(void)
{
	unregister_module_notifier(&notifier);
	debugfs_remove(file);
	kvfree(profile.data);
}
module_exit(coverage_exit);

MODULE_DESCRIPTION("Keeps the coverage of ivring by tests");
MODULE_LICENSE("GPL");
