/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memscan.c - looks for secrets in the core image of a process that runs
 *
 *     memscan PID [NEEDLE …]        all that a core of PID would hold
 *     memscan -f FILE [NEEDLE …]    a file
 *
 * A NEEDLE is NAME=key:FILE (the private key in PEM: every number of it, as DER, OpenSSL and a dump
 * write it), NAME=hex:DIGITS, NAME=text:TEXT or NAME=file:FILE (the bytes). What is long is looked
 * for by pieces of 16 bytes, so that a copy that lost its beginning is found too.
 *
 * The process is stopped while it is read, so that nothing moves. Prints "NAME COUNT" for each
 * needle; with COUNT above 0 the mappings as well, on standard error. Exit status 0 when it could
 * be read.
 */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define PIECE       16u
#define NEEDLES_MAX 32u
#define PIECES_MAX  4096u
#define CHUNK       (1u << 20)

struct needle {
	char name[64];
	unsigned char pieces[PIECES_MAX][PIECE];
	size_t n;
	unsigned long found;
};

static struct needle needles[NEEDLES_MAX];
static size_t n_needles;

static void
die(const char *what)
{
	fprintf(stderr, "memscan: %s\n", what);
	exit(70);
}

/* Pieces at every PIECE bytes of what is long, and the one at its end. */
static void
add_bytes(struct needle *needle, const unsigned char *data, size_t len)
{
	if (len < PIECE)
		die("a needle of less than 16 bytes");
	for (size_t at = 0; at < len; at += PIECE) {
		size_t from = at + PIECE <= len ? at : len - PIECE;

		if (needle->n == PIECES_MAX)
			die("too many pieces");
		memcpy(needle->pieces[needle->n++], data + from, PIECE);
	}
}

/* As DER has it, and as a BIGNUM of words in the order of this machine. */
static void
add_number(struct needle *needle, const EVP_PKEY *pkey, const char *param)
{
	BIGNUM *number = NULL;
	unsigned char data[1024], turned[1024];
	int len;

	if (!EVP_PKEY_get_bn_param(pkey, param, &number))
		return;
	len = BN_num_bytes(number);
	if (len > (int)sizeof(data) || len < 2 * (int)PIECE)
		die("a number of another size");
	BN_bn2bin(number, data);
	for (int i = 0; i < len; i++)
		turned[i] = data[len - 1 - i];
	add_bytes(needle, data, (size_t)len);
	add_bytes(needle, turned, (size_t)len);
	BN_clear_free(number);
}

static void
add_key(struct needle *needle, const char *path)
{
	static const char *const params[] = {OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1,
		OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT1,
		OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
		OSSL_PKEY_PARAM_PRIV_KEY};
	FILE *file = fopen(path, "r");
	EVP_PKEY *pkey = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

	if (!pkey)
		die("a key that cannot be read");
	fclose(file);
	for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++)
		add_number(needle, pkey, params[i]);
	EVP_PKEY_free(pkey);
	if (needle->n == 0)
		die("a key without numbers");
}

static void
add_hex(struct needle *needle, const char *digits)
{
	unsigned char data[512];
	size_t n = 0;

	for (; digits[0] && digits[1] && n < sizeof(data); digits += 2) {
		char two[3] = {digits[0], digits[1], '\0'};

		data[n++] = (unsigned char)strtoul(two, NULL, 16);
	}
	add_bytes(needle, data, n);
}

static void
add_file(struct needle *needle, const char *path)
{
	unsigned char data[8192];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data));

	if (n <= 0)
		die("a needle's file that cannot be read");
	close(fd);
	add_bytes(needle, data, (size_t)n);
}

static void
add_needle(const char *text)
{
	struct needle *needle = &needles[n_needles];
	const char *is = strchr(text, '='), *value;

	if (n_needles == NEEDLES_MAX || !is || (size_t)(is - text) >= sizeof(needle->name))
		die("NAME=KIND:VALUE wanted");
	n_needles++;
	memcpy(needle->name, text, (size_t)(is - text));
	value = strchr(is, ':');
	if (!value)
		die("NAME=KIND:VALUE wanted");
	value++;
	if (strncmp(is + 1, "key:", 4) == 0)
		add_key(needle, value);
	else if (strncmp(is + 1, "hex:", 4) == 0)
		add_hex(needle, value);
	else if (strncmp(is + 1, "text:", 5) == 0)
		add_bytes(needle, (const unsigned char *)value, strlen(value));
	else if (strncmp(is + 1, "file:", 5) == 0)
		add_file(needle, value);
	else
		die("a needle of no known kind");
}

/* Beginnings of pieces: most places are none, and are passed quickly. */
static unsigned char begins[1u << 21];

static uint32_t
beginning(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static void
note_beginnings(void)
{
	for (size_t i = 0; i < n_needles; i++)
		for (size_t k = 0; k < needles[i].n; k++) {
			uint32_t b = beginning(needles[i].pieces[k]);

			begins[b >> 3] |= (unsigned char)(1u << (b & 7));
		}
}

static void
compare(const unsigned char *at, const char *where)
{
	for (size_t i = 0; i < n_needles; i++)
		for (size_t k = 0; k < needles[i].n; k++)
			if (memcmp(needles[i].pieces[k], at, PIECE) == 0) {
				needles[i].found++;
				fprintf(stderr, "%s is in %s\n", needles[i].name, where);
			}
}

/* DATA begins with the last PIECE - 1 bytes of what came before. */
static void
search(const unsigned char *data, size_t len, const char *where)
{
	for (size_t i = 0; i + PIECE <= len; i++) {
		uint32_t b = beginning(data + i);

		if (begins[b >> 3] & (1u << (b & 7)))
			compare(data + i, where);
	}
}

/* LEN bytes at FROM; holes are left out. */
static void
search_range(int fd, uint64_t from, uint64_t len, const char *where)
{
	static unsigned char data[CHUNK + PIECE];
	size_t kept = 0;

	while (len) {
		size_t want = len < CHUNK ? (size_t)len : CHUNK;
		ssize_t n = pread(fd, data + kept, want, (off_t)from);

		if (n <= 0)
			return;
		search(data, kept + (size_t)n, where);
		from += (uint64_t)n;
		len -= (uint64_t)n;
		if ((size_t)n + kept >= PIECE) {
			memmove(data, data + kept + n - (PIECE - 1), PIECE - 1);
			kept = PIECE - 1;
		}
	}
}

static uint64_t
scan_process(int pid)
{
	char path[64], line[512];
	uint64_t from, to, total = 0;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	if (fd < 0 || !maps || kill(pid, SIGSTOP) != 0)
		die("the process cannot be read");
	usleep(20000); /* until every thread has stopped */
	while (fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx-%lx r", &from, &to) != 2 || strstr(line, "[vvar") ||
			strstr(line, "[vsyscall]") || !strchr(line, 'r'))
			continue;
		search_range(fd, from, to - from, line);
		total += to - from;
	}
	kill(pid, SIGCONT);
	fclose(maps);
	close(fd);
	return total;
}

int
main(int argc, char **argv)
{
	bool is_file = argc > 2 && strcmp(argv[1], "-f") == 0;
	uint64_t total;

	if (argc < 2)
		die("usage: memscan PID|-f FILE [NEEDLE …]");
	for (int i = is_file ? 3 : 2; i < argc; i++)
		add_needle(argv[i]);
	note_beginnings();
	if (is_file) {
		int fd = open(argv[2], O_RDONLY);
		off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

		if (size < 0)
			die("the file cannot be read");
		search_range(fd, 0, (uint64_t)size, argv[2]);
		total = (uint64_t)size;
		close(fd);
	} else {
		total = scan_process(atoi(argv[1]));
	}
	if (total == 0 && !is_file)
		die("nothing was read");
	for (size_t i = 0; i < n_needles; i++)
		printf("%s %lu\n", needles[i].name, needles[i].found);
	return 0;
}
