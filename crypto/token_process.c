/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_process.c - the process that a token's module lives in
 *
 * Modules are other people's code: they hang, leak, crash, start threads and processes. So each
 * lives in a process of its own, which has no file of ours open, does nothing but what it is asked
 * over its sockets, and is killed when it does not answer. It ends by itself with the one that
 * started it, and whenever the token says something that only a fresh start mends.
 */
#include "crypto/token.h"

#include "base/sandbox.h"
#include "crypto/cryptoki.h"
#include "crypto/digest.h"
#include "crypto/token_wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS_MAX 256

static const struct ck_functions *f;
static ck_ulong slot;
static pthread_rwlock_t ready_lock = PTHREAD_RWLOCK_INITIALIZER;
static bool ready;

struct answer {
	unsigned char bytes[WIRE_MAX];
	size_t len;
};

struct request {
	enum wire_op op;
	unsigned param;
	const unsigned char *label, *id, *data;
	size_t label_len, id_len, len;
};

static void
put_text(struct answer *a, enum wire_status status, const char *what, ck_ulong rv)
{
	a->bytes[0] = (unsigned char)status;
	a->len = 1 + (size_t)(rv == CKR_OK ? snprintf((char *)a->bytes + 1, 200, "%s", what)
					   : snprintf((char *)a->bytes + 1, 200, "%s (0x%lx)", what,
						     rv));
}

/* What a return value means for whoever asked. */
static void
put_failure(struct answer *a, const char *what, ck_ulong rv)
{
	switch (rv) {
	case CKR_DATA_INVALID:
	case CKR_DATA_LEN_RANGE:
	case CKR_ENCRYPTED_DATA_INVALID:
	case CKR_ENCRYPTED_DATA_LEN_RANGE:
		put_text(a, WIRE_REFUSED, what, rv);
		return;
	case CKR_ARGUMENTS_BAD: /* so SoftHSM says of OAEP with other hashes than SHA-1 */
	case CKR_MECHANISM_INVALID:
	case CKR_MECHANISM_PARAM_INVALID:
	case CKR_KEY_FUNCTION_NOT_PERMITTED:
	case CKR_KEY_TYPE_INCONSISTENT:
		put_text(a, WIRE_UNSUPPORTED, what, rv);
		return;
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
	case CKR_PIN_EXPIRED:
	case CKR_PIN_LOCKED:
	case CKR_USER_PIN_NOT_INITIALIZED:
		put_text(a, WIRE_PIN, what, rv);
		return;
	case CKR_HOST_MEMORY:
	case CKR_SLOT_ID_INVALID:
	case CKR_DEVICE_ERROR:
	case CKR_DEVICE_MEMORY:
	case CKR_DEVICE_REMOVED:
	case CKR_SESSION_CLOSED:
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_TOKEN_NOT_RECOGNIZED:
	case CKR_USER_NOT_LOGGED_IN:
	case CKR_NOT_INITIALIZED:
		put_text(a, WIRE_TROUBLE, what, rv);
		return;
	default:
		put_text(a, WIRE_FAILED, what, rv);
	}
}

/* --- the token --- */

/* Labels are filled up with blanks. */
static bool
same_label(const unsigned char label[32], const char *name)
{
	size_t len = strlen(name);

	if (len > 32 || memcmp(label, name, len) != 0)
		return false;
	for (; len < 32; len++)
		if (label[len] != ' ')
			return false;
	return true;
}

static bool
find_slot(const char *label, struct ck_token_info *info, struct answer *a)
{
	ck_ulong slots[SLOTS_MAX], n = SLOTS_MAX, rv = f->get_slot_list(1, slots, &n);

	if (rv != CKR_OK) {
		put_text(a, WIRE_TROUBLE, "C_GetSlotList", rv);
		return false;
	}
	for (ck_ulong i = 0; i < n && i < SLOTS_MAX; i++)
		if (f->get_token_info(slots[i], info) == CKR_OK && same_label(info->label, label)) {
			slot = slots[i];
			return true;
		}
	put_text(a, WIRE_TROUBLE, "no token of this name is there", n);
	return false;
}

static bool
open_session(ck_ulong *session, struct answer *a)
{
	ck_ulong rv = f->open_session(slot, CKF_SERIAL_SESSION, NULL, NULL, session);

	if (rv == CKR_OK)
		return true;
	put_text(a, WIRE_TROUBLE, "C_OpenSession", rv);
	return false;
}

static bool
load(const char *module, struct answer *a)
{
	ck_ulong (*get)(const struct ck_functions **);
	struct ck_initialize_args args = {.flags = CKF_OS_LOCKING_OK};
	void *lib = dlopen(module, RTLD_NOW | RTLD_LOCAL), *symbol;
	ck_ulong rv;

	symbol = lib ? dlsym(lib, "C_GetFunctionList") : NULL;
	if (!symbol) {
		a->bytes[0] = WIRE_TROUBLE;
		a->len = 1 + (size_t)snprintf((char *)a->bytes + 1, 300, "%.300s",
				     lib ? "no PKCS#11 module" : dlerror());
		a->len = a->len > 300 ? 300 : a->len;
		return false;
	}
	memcpy(&get, &symbol, sizeof(get));
	rv = get(&f);
	if (rv == CKR_OK)
		rv = f->initialize(&args);
	if (rv == CKR_OK || rv == CKR_ALREADY_INITIALIZED)
		return true;
	put_text(a, WIRE_TROUBLE, "C_Initialize", rv);
	return false;
}

/* One try with the PIN, and not the last one that the token allows: whoever gave us a wrong PIN
 * shall not find the token locked as well. */
static void
login(const struct request *r, const char *module, const char *label, struct answer *a)
{
	struct ck_token_info info;
	ck_ulong session, rv;

	if (!load(module, a) || !find_slot(label, &info, a) || !open_session(&session, a))
		return;
	if (info.flags & CKF_USER_PIN_LOCKED) {
		put_text(a, WIRE_PIN, "the PIN is locked", CKR_PIN_LOCKED);
		return;
	}
	if (info.flags & CKF_USER_PIN_FINAL_TRY) {
		put_text(a, WIRE_PIN,
			"one more wrong PIN would lock the token: log in by hand first",
			CKR_PIN_INCORRECT);
		return;
	}
	rv = CKR_OK;
	if ((info.flags & CKF_LOGIN_REQUIRED) || r->len)
		rv = f->login(session, CKU_USER, r->data, r->len);
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) {
		put_failure(a, "C_Login", rv);
		return;
	}
	a->bytes[0] = WIRE_OK;
	a->len = 1;
	pthread_rwlock_wrlock(&ready_lock);
	ready = true;
	pthread_rwlock_unlock(&ready_lock);
}

/* --- keys --- */

/* The one private key that the request names. */
static bool
find_key(ck_ulong session, const struct request *r, ck_ulong *key, struct answer *a)
{
	ck_ulong class = CKO_PRIVATE_KEY, found[2], n = 0, rv;
	struct ck_attribute template[3] = {{CKA_CLASS, &class, sizeof(class)}};
	ck_ulong count = 1;

	if (r->label_len)
		template[count++] =
			(struct ck_attribute){CKA_LABEL, (void *)(uintptr_t)r->label, r->label_len};
	if (r->id_len)
		template[count++] =
			(struct ck_attribute){CKA_ID, (void *)(uintptr_t)r->id, r->id_len};
	rv = f->find_objects_init(session, template, count);
	if (rv == CKR_OK) {
		rv = f->find_objects(session, found, 2, &n);
		(void)f->find_objects_final(session);
	}
	if (rv != CKR_OK)
		put_failure(a, "C_FindObjects", rv);
	else if (n != 1)
		put_text(a, WIRE_NO_KEY,
			n ? "more than one key of this name" : "no such key in the token", CKR_OK);
	*key = found[0];
	return rv == CKR_OK && n == 1;
}

static bool
hash_mechanism(enum digest digest, ck_ulong *hash, ck_ulong *mgf)
{
	static const struct {
		enum digest digest;
		ck_ulong hash, mgf;
	} rows[] = {{DIGEST_SHA1, CKM_SHA_1, CKG_MGF1_SHA1},
		{DIGEST_SHA224, CKM_SHA224, CKG_MGF1_SHA224},
		{DIGEST_SHA256, CKM_SHA256, CKG_MGF1_SHA256},
		{DIGEST_SHA384, CKM_SHA384, CKG_MGF1_SHA384},
		{DIGEST_SHA512, CKM_SHA512, CKG_MGF1_SHA512}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].digest == digest) {
			*hash = rows[i].hash;
			*mgf = rows[i].mgf;
			return true;
		}
	return false;
}

/* LEN is what the module says that it wrote. */
static void
put_result(struct answer *a, ck_ulong len)
{
	a->bytes[0] = WIRE_OK;
	a->len = 1 + len;
	if (len > WIRE_MAX - 1)
		put_text(a, WIRE_FAILED, "a length that cannot be", len);
}

static void
sign(ck_ulong session, ck_ulong key, const struct request *r, struct answer *a)
{
	struct ck_mechanism mechanism = {0};
	struct ck_pss_params pss = {0};
	ck_ulong len = WIRE_MAX - 1, rv;

	if (r->op == WIRE_PSS) {
		if (!hash_mechanism((enum digest)r->param, &pss.hash, &pss.mgf)) {
			put_text(a, WIRE_UNSUPPORTED, "digest", r->param);
			return;
		}
		pss.salt_len = r->len;
		mechanism.parameter = &pss;
		mechanism.parameter_len = sizeof(pss);
	}
	mechanism.mechanism = r->op == WIRE_PSS     ? CKM_RSA_PKCS_PSS
			      : r->op == WIRE_ECDSA ? CKM_ECDSA
						    : CKM_RSA_PKCS;
	rv = f->sign_init(session, &mechanism, key);
	if (rv == CKR_OK)
		rv = f->sign(session, r->data, r->len, a->bytes + 1, &len);
	put_result(a, len);
	if (rv != CKR_OK)
		put_failure(a, "C_Sign", rv);
}

static void
decrypt(ck_ulong session, ck_ulong key, const struct request *r, struct answer *a)
{
	struct ck_mechanism mechanism = {0};
	struct ck_oaep_params oaep = {.source = CKZ_DATA_SPECIFIED};
	ck_ulong len = WIRE_MAX - 1, unused, rv;

	mechanism.mechanism = r->op == WIRE_RAW ? CKM_RSA_X_509 : CKM_RSA_PKCS;
	if (r->op == WIRE_OAEP) {
		if (!hash_mechanism((enum digest)(r->param >> 4), &oaep.hash, &unused) ||
			!hash_mechanism((enum digest)(r->param & 15), &unused, &oaep.mgf)) {
			put_text(a, WIRE_UNSUPPORTED, "digest", r->param);
			return;
		}
		mechanism = (struct ck_mechanism){CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep)};
	}
	rv = f->decrypt_init(session, &mechanism, key);
	if (rv != CKR_OK) {
		put_failure(a, "C_DecryptInit", rv);
		return;
	}
	rv = f->decrypt(session, r->data, r->len, a->bytes + 1, &len);
	put_result(a, len);
	/* Tokens call bad padding by several names. What is more than that is in their own words.
	 */
	if (r->op != WIRE_RAW && (rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED))
		put_text(a, WIRE_REFUSED, "C_Decrypt", rv);
	else if (rv != CKR_OK)
		put_failure(a, "C_Decrypt", rv);
}

/* The shared secret. Some tokens want the point as it is, some in an OCTET STRING. */
static void
derive(ck_ulong session, ck_ulong key, const struct request *r, struct answer *a)
{
	static ck_ulong class = CKO_SECRET_KEY, type = CKK_GENERIC_SECRET;
	static ck_byte no = 0, yes = 1;
	ck_ulong size = (r->len - 1) / 2, derived, rv = CKR_DATA_INVALID;
	ck_byte wrapped[WIRE_MAX + 4], *p = wrapped;
	struct ck_attribute template[] = {{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_TOKEN, &no, 1}, {CKA_SENSITIVE, &no, 1},
		{CKA_EXTRACTABLE, &yes, 1}, {CKA_VALUE_LEN, &size, sizeof(size)}};
	struct ck_attribute value = {CKA_VALUE, a->bytes + 1, 66};

	if (r->len < 33 || r->len > 133 || size > 66) {
		put_text(a, WIRE_REFUSED, "a point", r->len);
		return;
	}
	*p++ = 4;
	if (r->len > 127)
		*p++ = 0x81;
	*p++ = (ck_byte)r->len;
	memcpy(p, r->data, r->len);
	for (int i = 0; i < 2 && rv != CKR_OK; i++) {
		struct ck_ecdh1_params ecdh = {.kdf = CKD_NULL,
			.public_len = i ? (ck_ulong)(p - wrapped) + r->len : r->len,
			.public_point = i ? wrapped : p};
		struct ck_mechanism mechanism = {CKM_ECDH1_DERIVE, &ecdh, sizeof(ecdh)};

		rv = f->derive_key(session, &mechanism, key, template,
			sizeof(template) / sizeof(*template), &derived);
	}
	if (rv != CKR_OK) {
		put_failure(a, "C_DeriveKey", rv);
		return;
	}
	rv = f->get_attribute_value(session, derived, &value, 1);
	(void)f->destroy_object(session, derived);
	put_result(a, value.value_len);
	if (rv != CKR_OK || value.value_len != size)
		put_text(a, WIRE_FAILED, "the derived secret cannot be read", rv);
}

static void
get_public(ck_ulong session, ck_ulong key, struct answer *a)
{
	unsigned char modulus[2048], exponent[64];
	struct ck_attribute template[] = {{CKA_MODULUS, modulus, sizeof(modulus)},
		{CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};
	ck_ulong rv = f->get_attribute_value(session, key, template, 2);

	if (rv != CKR_OK || template[0].value_len > sizeof(modulus) ||
		template[1].value_len > sizeof(exponent)) {
		put_text(a, WIRE_UNSUPPORTED, "no RSA key", rv);
		return;
	}
	a->bytes[0] = WIRE_OK;
	a->bytes[1] = (unsigned char)(template[0].value_len >> 8);
	a->bytes[2] = (unsigned char)template[0].value_len;
	memcpy(a->bytes + 3, modulus, template[0].value_len);
	memcpy(a->bytes + 3 + template[0].value_len, exponent, template[1].value_len);
	a->len = 3 + template[0].value_len + template[1].value_len;
}

/* "type\tid in hex\tlabel\n" for one key. */
static void
list_one(ck_ulong session, ck_ulong key, struct answer *a)
{
	unsigned char id[64], label[128];
	ck_ulong type = 0;
	struct ck_attribute template[] = {{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_ID, id, sizeof(id)}, {CKA_LABEL, label, sizeof(label)}};
	char *p = (char *)a->bytes + a->len;

	if (a->len + 400 > WIRE_MAX ||
		f->get_attribute_value(session, key, template, 3) != CKR_OK ||
		template[1].value_len > sizeof(id) || template[2].value_len > sizeof(label))
		return;
	p += sprintf(p, "%s\t", type == CKK_RSA ? "rsa" : type == CKK_EC ? "ec" : "other");
	for (ck_ulong i = 0; i < template[1].value_len; i++)
		p += sprintf(p, "%02x", id[i]);
	*p++ = '\t';
	for (ck_ulong i = 0; i < template[2].value_len; i++)
		*p++ = label[i] < ' ' || label[i] == 127 ? '?' : (char)label[i];
	*p++ = '\n';
	a->len = (size_t)(p - (char *)a->bytes);
}

static void
list(struct answer *a)
{
	ck_ulong class = CKO_PRIVATE_KEY, session, keys[64], n = 0, rv;
	struct ck_attribute template = {CKA_CLASS, &class, sizeof(class)};

	if (!open_session(&session, a))
		return;
	rv = f->find_objects_init(session, &template, 1);
	if (rv == CKR_OK) {
		rv = f->find_objects(session, keys, 64, &n);
		(void)f->find_objects_final(session);
	}
	a->bytes[0] = WIRE_OK;
	a->len = 1;
	for (ck_ulong i = 0; rv == CKR_OK && i < n && i < 64; i++)
		list_one(session, keys[i], a);
	if (rv != CKR_OK)
		put_text(a, WIRE_TROUBLE, "C_FindObjects", rv);
}

/* --- sockets --- */

static bool
take_request(const unsigned char *p, size_t len, struct request *r)
{
	if (len < WIRE_HEAD || len < WIRE_HEAD + (size_t)p[2] + p[3])
		return false;
	r->op = p[0];
	r->param = p[1];
	r->label_len = p[2];
	r->id_len = p[3];
	r->label = p + WIRE_HEAD;
	r->id = r->label + r->label_len;
	r->data = r->id + r->id_len;
	r->len = len - WIRE_HEAD - r->label_len - r->id_len;
	return true;
}

static void
use_key(ck_ulong *session, const struct request *r, struct answer *a)
{
	ck_ulong key;
	bool is_ready;

	pthread_rwlock_rdlock(&ready_lock);
	is_ready = ready;
	pthread_rwlock_unlock(&ready_lock);
	if (!is_ready) {
		put_text(a, WIRE_TROUBLE, "not logged in", 0);
		return;
	}
	if ((!*session && !open_session(session, a)) || !find_key(*session, r, &key, a))
		return;
	switch (r->op) {
	case WIRE_SIGN:
	case WIRE_PSS:
	case WIRE_ECDSA:
		sign(*session, key, r, a);
		break;
	case WIRE_RAW:
	case WIRE_DECRYPT:
	case WIRE_OAEP:
		decrypt(*session, key, r, a);
		break;
	case WIRE_DERIVE:
		derive(*session, key, r, a);
		break;
	case WIRE_PUBLIC:
		get_public(*session, key, a);
		break;
	default:
		put_text(a, WIRE_TROUBLE, "no such operation", r->op);
	}
}

/* Answers; after trouble the process is of no use any more. */
static void
send_answer(int fd, struct answer *a)
{
	bool end = a->bytes[0] == WIRE_TROUBLE || a->bytes[0] == WIRE_PIN;

	if (send(fd, a->bytes, a->len, MSG_NOSIGNAL) < 0 || end)
		_exit(end ? 75 : 0);
	explicit_bzero(a->bytes, a->len);
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned char packet[WIRE_MAX];
	static _Thread_local struct answer a;
	ck_ulong session = 0;
	struct request r;
	ssize_t n;

	while ((n = recv(fd, packet, sizeof(packet), 0)) > 0) {
		if (!take_request(packet, (size_t)n, &r))
			break;
		use_key(&session, &r, &a);
		if (a.bytes[0] == WIRE_FAILED && session) { /* whatever it was in the middle of */
			(void)f->close_session(session);
			session = 0;
		}
		explicit_bzero(packet, (size_t)n);
		send_answer(fd, &a);
	}
	return NULL;
}

bool
token_process_is_wanted(int argc, char **argv)
{
	return argc == 7 && strcmp(argv[1], TOKEN_PROCESS_WORD) == 0;
}

int
token_process_main(char **argv)
{
	const char *module = argv[2], *label = argv[3];
	int sessions = atoi(argv[4]);
	unsigned char packet[WIRE_MAX];
	static struct answer a;
	pthread_t thread;
	struct request r;
	ssize_t n;

	/* Started by somebody who took another user's place for a while: for good; or by root. */
	if ((getegid() != getgid() && setresgid(getegid(), getegid(), getegid())) ||
		(geteuid() != getuid() && setresuid(geteuid(), geteuid(), geteuid())))
		return 70;
	if (sandbox_harden(NULL) || sandbox_drop(argv[5], *argv[6] ? argv[6] : NULL, NULL))
		return 70;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1,
		SIG_IGN); /* of one who reloads all that is called so: it is for the vault */
	for (int i = 0; i < sessions; i++)
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)(WIRE_CONTROL + 1 + i)))
			return 70;
	while ((n = recv(WIRE_CONTROL, packet, sizeof(packet), 0)) > 0) {
		if (!take_request(packet, (size_t)n, &r))
			break;
		if (r.op == WIRE_LOGIN && !ready)
			login(&r, module, label, &a);
		else if (r.op == WIRE_LIST && ready)
			list(&a);
		else
			put_text(&a, WIRE_TROUBLE, "out of place", r.op);
		explicit_bzero(packet, (size_t)n);
		send_answer(WIRE_CONTROL, &a);
	}
	_exit(0);
}
