/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

struct secret {
	unsigned char
		*data; /* whole pages of its own, so that locking and leaving out of cores work */
	size_t len;
	size_t mapped;
};

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
	secret->mapped = (len + page) / page * page;
	secret->data = mmap(
		NULL, secret->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (secret->data == MAP_FAILED) {
		free(secret);
		return err_set(err, ERR_MEMORY, "no memory for a secret");
	}
	/* Best effort: the limit on locked memory may be small, and the daemons lock all at start.
	 */
	(void)mlock(secret->data, secret->mapped);
	(void)madvise(secret->data, secret->mapped, MADV_DONTDUMP);
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
	munmap(s->data, s->mapped);
	free(s);
}
