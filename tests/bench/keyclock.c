/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyclock.c - processor time of the private-key operations of a running daemon, as they ran
 *
 * Loaded into sealgate-vault by tests/bench/milter.sh with LD_PRELOAD, so that nothing of it is in
 * the daemon itself: it stands in front of the functions of libcrypto that use a private key, and
 * adds up the thread's own clock around each. The sums lie in the file that $KEYCLOCK names, as two
 * numbers of 64 bits: calls, nanoseconds. "meter key-ran FILE" reads them.
 */
#include <openssl/evp.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct sums {
	uint64_t calls, ns;
};

static struct sums *sums;

__attribute__((constructor)) static void
open_sums(void)
{
	const char *path = getenv("KEYCLOCK");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof *sums) == 0)
		p = mmap(NULL, sizeof *sums, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror("keyclock");
		exit(70);
	}
	close(fd);
	sums = p;
}

static uint64_t
thread_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
add(uint64_t began)
{
	__atomic_add_fetch(&sums->calls, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sums->ns, thread_ns() - began, __ATOMIC_RELAXED);
}

/* The functions of libcrypto with the parameters CTX, OUT, OUT_LEN, IN, IN_LEN. */
#define TIMED(name, context)                                                                  \
	int name(context *ctx, unsigned char *out, size_t *out_len, const unsigned char *in,  \
		size_t in_len)                                                                \
	{                                                                                     \
		static int (*next)(                                                           \
			context *, unsigned char *, size_t *, const unsigned char *, size_t); \
		uint64_t began;                                                               \
		int result;                                                                   \
                                                                                              \
		if (!next)                                                                    \
			next = (int (*)(context *, unsigned char *, size_t *,                 \
				const unsigned char *, size_t))dlsym(RTLD_NEXT, #name);       \
		began = thread_ns();                                                          \
		result = next(ctx, out, out_len, in, in_len);                                 \
		add(began);                                                                   \
		return result;                                                                \
	}

TIMED(EVP_PKEY_sign, EVP_PKEY_CTX)
TIMED(EVP_PKEY_decrypt, EVP_PKEY_CTX)
TIMED(EVP_DigestSign, EVP_MD_CTX)
