/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/master.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/openssl_glue.h"
#include "crypto/token_key.h"

#define SALT_SIZE      16
#define PASSPHRASE_MAX 1024

/* Memory is 128 · N · r bytes: 64 MB, a quarter of a second. */
#define SCRYPT_N 65536u
#define SCRYPT_R 8u
#define SCRYPT_P 1u

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Exactly 2·LEN lower-case hex digits into OUT. */
static bool
hex_parse(const char *text, unsigned char *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* Is the open file one that nobody else can read or change? */
static enum rc
check_mode(int fd, const char *path, bool credential, uid_t owner, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, ERR_FILE, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_MASTER_KEY, "%s: not a plain file", path);
	/* A daemon that root starts reads it before it becomes the vault's user, whose file it is.
	 */
	if (st.st_uid != geteuid() && st.st_uid != 0 && st.st_uid != owner)
		return err_set(
			err, ERR_MASTER_KEY, "%s: belongs to uid %u", path, (unsigned)st.st_uid);
	/* systemd guards credentials itself, by an access list on files of mode 0440. */
	if (!credential && (st.st_mode & 07377))
		return err_set(err, ERR_MASTER_KEY, "%s: has mode %04o, must have 0400", path,
			(unsigned)st.st_mode & 07777);
	return RC_OK;
}

/* Reads 64 hex digits and an optional end of line. */
static enum rc
read_file(const char *path, bool credential, uid_t owner, struct secret **out, struct err *err)
{
	struct buf text = {.max = 256, .wipe = true};
	/* Not to wait for a writer when it is a pipe; that is refused below. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum rc rc;

	if (fd < 0)
		return err_set(err, ERR_KEYSTORE, "master key %s: %s", path, strerror(errno));
	rc = check_mode(fd, path, credential, owner, err);
	if (!rc)
		rc = file_read_fd(fd, path, &text, err);
	close(fd);
	if (!rc && text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	if (!rc && text.len != 2 * MASTER_SIZE)
		rc = err_set(err, ERR_MASTER_KEY, "%s: not %u hex digits", path, 2 * MASTER_SIZE);
	if (!rc)
		rc = secret_new(MASTER_SIZE, out, err);
	if (!rc && !hex_parse(text.data, secret_data(*out), MASTER_SIZE)) {
		secret_free(out);
		rc = err_set(err, ERR_MASTER_KEY, "%s: not %u hex digits", path, 2 * MASTER_SIZE);
	}
	buf_fini(&text);
	return rc;
}

/* One line from FD, without echo when it is a terminal. */
static enum rc
read_line(int fd, struct secret **out, struct err *err)
{
	struct termios old, quiet;
	bool tty = tcgetattr(fd, &old) == 0;
	size_t n = 0;
	ssize_t got = 0;
	enum rc rc = secret_new(PASSPHRASE_MAX, out, err);

	if (rc)
		return rc;
	if (tty) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(fd, TCSAFLUSH, &quiet);
	}
	while (n < PASSPHRASE_MAX && (got = read(fd, secret_data(*out) + n, 1)) == 1 &&
		secret_data(*out)[n] != '\n')
		n++;
	if (tty)
		(void)tcsetattr(fd, TCSAFLUSH, &old);
	if (n == 0 || n == PASSPHRASE_MAX || got < 0) {
		secret_free(out);
		return err_set(err, ERR_MASTER_KEY, "no passphrase was given");
	}
	secret_truncate(*out, n);
	return RC_OK;
}

/* The terminal where there is one, else standard input. */
static enum rc
prompt_terminal(const char *text, struct secret **out, struct err *err)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	enum rc rc;

	if (fd < 0)
		return read_line(STDIN_FILENO, out, err);
	(void)!write(fd, text, strlen(text));
	rc = read_line(fd, out, err);
	(void)!write(fd, "\n", 1);
	close(fd);
	return rc;
}

static master_prompt *ask = prompt_terminal;

void
master_set_prompt(master_prompt *prompt)
{
	ask = prompt ? prompt : prompt_terminal;
}

/* The store's parameters are bounded before they are believed: the store is not authenticated yet.
 */
static enum rc
stretch(const char *kdf, struct secret *passphrase, struct secret **out, struct err *err)
{
	uint64_t n;
	uint32_t r, p;
	char hex[2 * SALT_SIZE + 1];
	unsigned char salt[SALT_SIZE];
	enum rc rc;

	if (sscanf(kdf, "scrypt %" SCNu64 " %" SCNu32 " %" SCNu32 " %32[0-9a-f]", &n, &r, &p,
		    hex) != 4 ||
		strlen(hex) != 2 * SALT_SIZE || !hex_parse(hex, salt, SALT_SIZE))
		return err_set(err, ERR_KEYSTORE, "the store has no parameters for a passphrase");
	if (n < 16384 || n > 1u << 20 || (n & (n - 1)) || r < 1 || r > 32 || p < 1 || p > 16)
		return err_set(err, ERR_KEYSTORE_TAMPERED, "scrypt parameters out of bounds");
	rc = secret_new(MASTER_SIZE, out, err);
	if (!rc && EVP_PBE_scrypt((const char *)secret_data(passphrase), secret_len(passphrase),
			   salt, SALT_SIZE, n, r, p, 128 * n * r + (64u << 20), secret_data(*out),
			   MASTER_SIZE) != 1) {
		secret_free(out);
		rc = ossl_err(err, ERR_CRYPTO, "scrypt");
	}
	return rc;
}

static bool
is_token(const char *spec)
{
	return strncmp(spec, "pkcs11:", 7) == 0;
}

/* The wrapped form stands in the store; a key in the token opens it. */
static enum rc
read_token(const char *spec, const char *kdf, struct secret **out, struct err *err)
{
	unsigned char wrapped[2048];
	size_t len = strncmp(kdf, "pkcs11 ", 7) == 0 ? strlen(kdf + 7) / 2 : 0;

	if (len == 0 || len > sizeof(wrapped) || strlen(kdf + 7) != 2 * len ||
		!hex_parse(kdf + 7, wrapped, len))
		return err_set(err, ERR_KEYSTORE, "the store has no master key for a token");
	return token_unwrap(spec, wrapped, len, MASTER_SIZE, out, err);
}

/* A new random one. */
static enum rc
make_token(const char *spec, char kdf[MASTER_KDF_SIZE], struct secret **out, struct err *err)
{
	struct buf wrapped = BUF_INIT(2048), text = BUF_INIT(MASTER_KDF_SIZE - 1);
	enum rc rc = secret_random(MASTER_SIZE, out, err);

	if (!rc)
		rc = token_wrap(spec, *out, &wrapped, err);
	if (!rc)
		rc = buf_append_str(&text, "pkcs11 ", err);
	if (!rc)
		rc = buf_append_hex(&text, wrapped.data, wrapped.len, err);
	if (!rc) {
		struct secret *again = NULL;

		/* Tried, for nobody else could tell. */
		snprintf(kdf, MASTER_KDF_SIZE, "%s", buf_text(&text));
		rc = read_token(spec, kdf, &again, err);
		secret_free(&again);
	}
	if (rc)
		secret_free(out);
	buf_fini(&wrapped);
	buf_fini(&text);
	return rc;
}

bool
master_needs_kdf(const char *spec)
{
	return strcmp(spec, "ask") == 0 || is_token(spec);
}

/* The file that SPEC names. */
static enum rc
spec_path(const char *spec, const char *dir, char **path, bool *credential, struct err *err)
{
	const char *folder = dir, *name = spec + 5;

	*credential = strncmp(spec, "credential:", 11) == 0;
	if (*credential) {
		name = spec + 11;
		folder = getenv("CREDENTIALS_DIRECTORY");
		if (!folder)
			return err_set(err, ERR_MASTER_KEY,
				"%s: CREDENTIALS_DIRECTORY is not set: a unit of systemd sets it, with "
				"LoadCredential= or LoadCredentialEncrypted=",
				spec);
		if (!*name || strchr(name, '/'))
			return err_set(err, ERR_KEYSTORE, "%s: no credential of that name", spec);
	} else if (strncmp(spec, "file:", 5) != 0 || !*name) {
		return err_set(err, ERR_CONFIG,
			"vault.master_key: \"%s\" is none of file:PATH, "
			"credential:NAME, ask, pkcs11:…",
			spec);
	}
	*path = *name == '/' ? strdup(name) : file_join(folder, name);
	return *path ? RC_OK : err_set(err, ERR_MEMORY, "master key");
}

enum rc
master_read(const char *spec, const char *dir, const char *kdf, uid_t owner, struct secret **out,
	struct err *err)
{
	struct secret *passphrase = NULL;
	char *path = NULL;
	bool credential;
	enum rc rc;

	*out = NULL;
	if (strcmp(spec, "ask") == 0) {
		rc = ask("Passphrase of the key store: ", &passphrase, err);
		if (!rc)
			rc = stretch(kdf, passphrase, out, err);
		secret_free(&passphrase);
		return rc;
	}
	if (is_token(spec))
		return read_token(spec, kdf, out, err);
	rc = spec_path(spec, dir, &path, &credential, err);
	if (!rc)
		rc = read_file(path, credential, owner, out, err);
	free(path);
	return rc;
}

enum rc
master_ask(const char *text, bool twice, struct secret **out, struct err *err)
{
	struct secret *second = NULL;
	enum rc rc = ask(text, out, err);

	if (!rc && twice)
		rc = ask("The same again: ", &second, err);
	if (!rc && twice &&
		(secret_len(*out) != secret_len(second) ||
			secret_compare(secret_data(*out), secret_data(second), secret_len(*out))))
		rc = err_set(err, ERR_USAGE, "the two passphrases differ");
	if (rc)
		secret_free(out);
	secret_free(&second);
	return rc;
}

/* Chooses parameters and asks twice. */
static enum rc
make_passphrase(char kdf[MASTER_KDF_SIZE], struct secret **out, struct err *err)
{
	struct secret *first = NULL;
	unsigned char salt[SALT_SIZE];
	struct buf hex = BUF_INIT(2 * SALT_SIZE + 1);
	enum rc rc = random_bytes(salt, sizeof(salt), err);

	if (!rc)
		rc = buf_append_hex(&hex, salt, sizeof(salt), err);
	if (!rc)
		rc = master_ask("New passphrase of the key store: ", true, &first, err);
	if (!rc) {
		snprintf(kdf, MASTER_KDF_SIZE, "scrypt %u %u %u %s", SCRYPT_N, SCRYPT_R, SCRYPT_P,
			buf_text(&hex));
		rc = stretch(kdf, first, out, err);
	}
	secret_free(&first);
	buf_fini(&hex);
	return rc;
}

enum rc
master_path(const char *spec, const char *dir, char **path, struct err *err)
{
	bool credential;

	*path = NULL;
	return strncmp(spec, "file:", 5) == 0 || strncmp(spec, "credential:", 11) == 0
		       ? spec_path(spec, dir, path, &credential, err)
		       : RC_OK;
}

enum rc
master_write(const char *path, struct secret *master, struct err *err)
{
	struct buf hex = {.max = 2 * MASTER_SIZE + 1, .wipe = true};
	enum rc rc = buf_append_hex(&hex, secret_data(master), MASTER_SIZE, err);

	if (!rc)
		rc = buf_append_char(&hex, '\n', err);
	if (!rc)
		rc = file_write_new(path, hex.data, hex.len, 0400, err);
	buf_fini(&hex);
	return rc;
}

/* A new random key in a file of its own. */
static enum rc
make_file(const char *path, struct secret **out, struct err *err)
{
	enum rc rc = secret_random(MASTER_SIZE, out, err);

	if (!rc)
		rc = master_write(path, *out, err);
	if (rc)
		secret_free(out);
	return rc;
}

enum rc
master_make(const char *spec, const char *dir, char kdf[MASTER_KDF_SIZE], struct secret **out,
	struct err *err)
{
	char *path = NULL;
	bool credential;
	enum rc rc;

	*out = NULL;
	kdf[0] = 0;
	if (strcmp(spec, "ask") == 0)
		return make_passphrase(kdf, out, err);
	if (is_token(spec))
		return make_token(spec, kdf, out, err);
	rc = spec_path(spec, dir, &path, &credential, err);
	if (!rc)
		rc = credential ? read_file(path, true, geteuid(), out, err)
				: make_file(path, out, err);
	free(path);
	return rc;
}
