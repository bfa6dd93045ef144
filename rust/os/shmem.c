// SPDX-License-Identifier: GPL-2.0
/*
 * Files of shared memory that one member writes and other members read.
 *
 * shmem provides the pages: they are allocated when they are touched, may be huge, can be swapped,
 * and follow the NUMA policy of the writer. No process has a descriptor of these files. The files
 * are reached only by mappings that ivring_shmem_map() has made, and the operations of this file
 * take care that a reader cannot turn its mapping into anything else.
 */
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "helpers.h"

/* Without it, the kernel has files of another kind, which lack most of what is used here. */
#ifndef CONFIG_SHMEM
#error "ivring needs a kernel with CONFIG_SHMEM"
#endif

/* The data of a file that are not in its pages. */
struct ivring_shmem {
	struct mem_cgroup *memcg;	/* of the task that has made the file; NULL without memcg */
	void *owner;			/* passed to @drop */
	void (*drop)(void *owner);
};

/* The operations of shmem, which are not exported. */
static const struct file_operations *shmem_fops __ro_after_init;
static const struct vm_operations_struct *shmem_vm_ops __ro_after_init;

static int release(struct inode *inode, struct file *file)
{
	struct ivring_shmem *shmem = file->private_data;

	mem_cgroup_put(shmem->memcg);
	shmem->drop(shmem->owner);
	kfree(shmem);
	return 0;
}

/*
 * mremap() asks the file of a mapping for an address, and so does mmap() of the files that call
 * ivring_shmem_map(). shmem accepts its own files only, or none.
 */
unsigned long ivring_shmem_get_unmapped_area(struct file *file, unsigned long address,
					     unsigned long length, unsigned long pgoff,
					     unsigned long flags)
{
	return shmem_fops->get_unmapped_area(NULL, address, length, pgoff, flags);
}

static long fallocate(struct file *file, int mode, loff_t offset, loff_t length)
{
	return shmem_fops->fallocate ? shmem_fops->fallocate(file, mode, offset, length) : -EOPNOTSUPP;
}

/*
 * There is no mmap operation: remap_file_pages() would give a reader a mapping by it that can be
 * made writable. There is no read and no write operation either.
 */
static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.release = release,
	.get_unmapped_area = ivring_shmem_get_unmapped_area,
	.fallocate = fallocate,		/* for madvise(MADV_REMOVE) */
	.fsync = noop_fsync,
};

static vm_fault_t writer_fault(struct vm_fault *vmf)
{
	return shmem_vm_ops->fault(vmf);
}

#ifdef CONFIG_NUMA
static int set_policy(struct vm_area_struct *vma, struct mempolicy *policy)
{
	return shmem_vm_ops->set_policy(vma, policy);
}

static struct mempolicy *get_policy(struct vm_area_struct *vma, unsigned long address, pgoff_t *ilx)
{
	return shmem_vm_ops->get_policy(vma, address, ilx);
}
#endif

/* userfaultfd is left out: readers would have to wait for a page that the writer provides. */
static const struct vm_operations_struct writer_operations = {
	.fault = writer_fault,
	.map_pages = filemap_map_pages,
#ifdef CONFIG_NUMA
	.set_policy = set_policy,
	.get_policy = get_policy,
#endif
};

int ivring_shmem_init(void)
{
	struct file *file = shmem_kernel_file_setup("ivring", PAGE_SIZE, EMPTY_VMA_FLAGS);
	struct vm_area_desc desc = { .file = file };
	int error = -EOPNOTSUPP;

	if (IS_ERR(file))
		return PTR_ERR(file);
	shmem_fops = file->f_op;
	if (shmem_fops->mmap_prepare && shmem_fops->get_unmapped_area)
		error = vfs_mmap_prepare(file, &desc);
	shmem_vm_ops = desc.vm_ops;
	fput(file);
	return error;
}

/*
 * A page that a reader touches before the writer has written it is charged to the memory cgroup of
 * the file. Neither may this kill a process there, nor may a reader get SIGBUS. So if the cgroup is
 * full, the page is charged to the reader. A page that was swapped out is always charged to the
 * cgroup that it was charged to before, so the second attempt must not kill a process either.
 */
static struct folio *read_folio(struct file *file, pgoff_t index)
{
	struct address_space *mapping = file->f_mapping;
	struct ivring_shmem *shmem = file->private_data;
	gfp_t gfp = mapping_gfp_mask(mapping);
	struct mem_cgroup *old;
	struct folio *folio;

	old = set_active_memcg(shmem->memcg);
	folio = shmem_read_folio_gfp(mapping, index, gfp | __GFP_NORETRY | __GFP_NOWARN);
	set_active_memcg(old);
	if (folio == ERR_PTR(-ENOMEM)) {
		if (xa_is_value(xa_load(&mapping->i_pages, index)))
			gfp |= __GFP_RETRY_MAYFAIL;
		folio = shmem_read_folio_gfp(mapping, index, gfp);
	}
	return folio;
}

static vm_fault_t reader_fault(struct vm_fault *vmf)
{
	struct file *file = vmf->vma->vm_file;
	struct folio *folio;

	/*
	 * The writer discards pages. If readers brought them back at once, they could keep the
	 * writer from ever finishing, so shmem lets faults wait. Its way to wait is private. This
	 * wait is short, because a writer may discard pages all the time.
	 */
	if (READ_ONCE(file_inode(file)->i_private))
		schedule_timeout_killable(1);
	folio = read_folio(file, vmf->pgoff);
	if (IS_ERR(folio)) {
		/* The access is tried again until there is memory, but not without a pause. */
		if (folio == ERR_PTR(-ENOMEM))
			schedule_timeout_killable(1);
		return vmf_error(PTR_ERR(folio));
	}
	folio_lock(folio);
	if (folio->mapping != file->f_mapping) {
		/* The page was discarded or swapped out, so the access is tried again. */
		folio_unlock(folio);
		folio_put(folio);
		return VM_FAULT_NOPAGE;
	}
	vmf->page = folio_file_page(folio, vmf->pgoff);
	return VM_FAULT_LOCKED;
}

/* A reader cannot set the NUMA policy of the writer's file, so there is no set_policy. */
static const struct vm_operations_struct reader_operations = {
	.fault = reader_fault,
	.map_pages = filemap_map_pages,
};

struct file *ivring_shmem_new(u64 bytes, void *owner, void (*drop)(void *owner))
{
	struct ivring_shmem *shmem = kmalloc(sizeof(*shmem), ivring_gfp_charged);
	struct file *file;

	if (!shmem)
		return ERR_PTR(-ENOMEM);
	/* Without VM_NORESERVE: with strict overcommit this fails, and not an access later. */
	file = shmem_kernel_file_setup("ivring-outbox", bytes, EMPTY_VMA_FLAGS);
	if (IS_ERR(file)) {
		kfree(shmem);
		/* shmem has no limit of its own here, so it is out of memory for the inode. */
		return file == ERR_PTR(-ENOSPC) ? ERR_PTR(-ENOMEM) : file;
	}
	shmem->memcg = get_mem_cgroup_from_mm(current->mm);
	shmem->owner = owner;
	shmem->drop = drop;
	file->private_data = shmem;
	/*
	 * Opening the file by /proc/PID/map_files gives the operations of shmem. This needs
	 * CAP_CHECKPOINT_RESTORE, and CAP_DAC_OVERRIDE too if there are no mode bits. Without mode
	 * bits, processes of other users also cannot learn which pages are in memory, or reclaim them.
	 */
	file_inode(file)->i_mode = S_IFREG;
	/* The caller's own file keeps the module loaded until this reference does. */
	__module_get(THIS_MODULE);
	file->f_op = &operations;
	return file;
}

void ivring_shmem_map(struct file *file, struct vm_area_struct *vma, unsigned long first_page,
		      bool writes)
{
	vma_set_file(vma, file);
	vma->vm_pgoff = first_page;
	vma->vm_ops = writes ? &writer_operations : &reader_operations;
}

u64 ivring_shmem_bytes(struct file *file)
{
	return (u64)READ_ONCE(SHMEM_I(file_inode(file))->alloced) << PAGE_SHIFT;
}
