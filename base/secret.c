/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/*
 * Secrets lie in pages of their own, so that locking them and leaving them out of cores work. Small
 * ones, as content keys are, share pages: to map and unmap some for each message costs several
 * system calls and interrupts every core. Such pages are kept for good; a slot that is free is
 * wiped but for the link to the next one.
 */
#define SLOT_SIZE  512u
#define BLOCK_SIZE 65536u /* mapped at once for small ones */

struct secret {
	unsigned char *data;
	size_t len;
	size_t mapped; /* bytes; SLOT_SIZE: a slot */
};

union slot {
	union slot *next;
	unsigned char bytes[SLOT_SIZE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static union slot *free_slots; /* under the lock */

void
secret_wipe(void *data, size_t len)
{
	/* Nothing is wiped at NULL: an empty buffer has no bytes. */
	if (len)
		explicit_bzero(data, len);
}

int
secret_compare(const void *a, const void *b, size_t len)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff;
}

enum rc
random_bytes(void *data, size_t len, struct err *err)
{
	unsigned char *p = data;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, ERR_SYSTEM, "getrandom: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return RC_OK;
}

/* Pages for secrets, or NULL. */
static void *
map_pages(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	/* Best effort: the limit on locked memory may be small, and the daemons lock all at start.
	 */
	(void)mlock(pages, size);
	(void)madvise(pages, size, MADV_DONTDUMP);
	return pages;
}

/* SLOT_SIZE bytes of zero, or NULL. */
static void *
take_slot(void)
{
	union slot *slot, *block;

	pthread_mutex_lock(&lock);
	if (!free_slots && (block = map_pages(BLOCK_SIZE)) != NULL)
		for (size_t i = 0; i < BLOCK_SIZE / SLOT_SIZE; i++) {
			block[i].next = free_slots;
			free_slots = &block[i];
		}
	slot = free_slots;
	if (slot) {
		free_slots = slot->next;
		slot->next = NULL;
	}
	pthread_mutex_unlock(&lock);
	return slot;
}

/* Takes a wiped slot back. */
static void
give_slot(void *data)
{
	union slot *slot = data;

	pthread_mutex_lock(&lock);
	slot->next = free_slots;
	free_slots = slot;
	pthread_mutex_unlock(&lock);
}

enum rc
secret_new(size_t len, struct secret **out, struct err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct secret *secret;

	*out = NULL;
	if (len > SECRET_MAX)
		return err_set(err, ERR_LIMIT, "a secret of more than %u bytes", SECRET_MAX);
	secret = calloc(1, sizeof *secret);
	if (!secret)
		return err_set(err, ERR_MEMORY, "no memory for a secret");
	secret->len = len;
	/* One byte more than LEN is there, and zero: text that is a secret ends. */
	if (len < SLOT_SIZE) {
		secret->mapped = SLOT_SIZE;
		secret->data = take_slot();
	} else {
		secret->mapped = (len + page) / page * page;
		secret->data = map_pages(secret->mapped);
	}
	if (!secret->data) {
		free(secret);
		return err_set(err, ERR_MEMORY, "no memory for a secret");
	}
	*out = secret;
	return RC_OK;
}

enum rc
secret_copy(const void *data, size_t len, struct secret **out, struct err *err)
{
	enum rc rc = secret_new(len, out, err);

	if (rc)
		return rc;
	if (len)
		memcpy((*out)->data, data, len);
	return RC_OK;
}

enum rc
secret_random(size_t len, struct secret **out, struct err *err)
{
	enum rc rc = secret_new(len, out, err);

	if (rc)
		return rc;
	rc = random_bytes((*out)->data, len, err);
	if (rc)
		secret_free(out);
	return rc;
}

unsigned char *
secret_data(struct secret *secret)
{
	return secret->data;
}

size_t
secret_len(const struct secret *secret)
{
	return secret->len;
}

void
secret_truncate(struct secret *secret, size_t len)
{
	if (len < secret->len) {
		secret_wipe(secret->data + len, secret->len - len);
		secret->len = len;
	}
}

void
secret_free(struct secret **secret)
{
	struct secret *s = *secret;

	*secret = NULL;
	if (!s)
		return;
	secret_wipe(s->data, s->mapped);
	if (s->mapped == SLOT_SIZE)
		give_slot(s->data);
	else
		munmap(s->data, s->mapped);
	free(s);
}
