/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stucktoken.c - a PKCS#11 module that hands everything on to another one, and can be told to fail
 *
 *     STUCK_MODULE   the other one
 *     STUCK_DIR      a folder; while these files are there:
 *                    hang   uses of keys and look-ups of tokens never return
 *                    gone   the token was pulled out
 *                    crash  the next use of a key is the end of the process
 *                    noraw  no bare RSA operation, as with tokens that follow FIPS 140
 *                    broken-LABEL
 *                           uses of the key LABEL end with CKR_GENERAL_ERROR
 *                    and "logins" gets a line for each time somebody logged in
 */
#include "crypto/cryptoki.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ck_functions *real;
static struct ck_functions ours;

static int
told(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", getenv("STUCK_DIR"), name);
	return access(path, F_OK) == 0;
}

static _Thread_local char label[256]; /* of the key that was looked for last */

static ck_ulong
misbehave(void)
{
	if (told("crash"))
		abort();
	while (told("hang"))
		pause();
	if (label[0] && told(label))
		return CKR_GENERAL_ERROR;
	return told("gone") ? CKR_DEVICE_REMOVED : CKR_OK;
}

static ck_ulong
find_objects_init(ck_ulong session, struct ck_attribute *attributes, ck_ulong count)
{
	for (ck_ulong i = 0; i < count; i++)
		if (attributes[i].type == CKA_LABEL)
			snprintf(label, sizeof(label), "broken-%.*s", (int)attributes[i].value_len,
				(const char *)attributes[i].value);
	return real->find_objects_init(session, attributes, count);
}

static ck_ulong
decrypt_init(ck_ulong session, struct ck_mechanism *mechanism, ck_ulong key)
{
	if (mechanism->mechanism == CKM_RSA_X_509 && told("noraw"))
		return CKR_MECHANISM_INVALID;
	return real->decrypt_init(session, mechanism, key);
}

static ck_ulong
get_slot_list(ck_byte present, ck_ulong *slots, ck_ulong *count)
{
	while (told("hang"))
		usleep(10000); /* so that a test need not wait for us to be killed */
	if (!told("gone"))
		return real->get_slot_list(present, slots, count);
	*count = 0;
	return CKR_OK;
}

static ck_ulong
login(ck_ulong session, ck_ulong user, const ck_byte *pin, ck_ulong len)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/logins", getenv("STUCK_DIR"));
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || write(fd, "login\n", 6) != 6)
		return CKR_GENERAL_ERROR;
	close(fd);
	return real->login(session, user, pin, len);
}

static ck_ulong
sign(ck_ulong session, const ck_byte *data, ck_ulong len, ck_byte *out, ck_ulong *out_len)
{
	ck_ulong rv = misbehave();

	return rv ? rv : real->sign(session, data, len, out, out_len);
}

static ck_ulong
decrypt(ck_ulong session, const ck_byte *in, ck_ulong len, ck_byte *out, ck_ulong *out_len)
{
	ck_ulong rv = misbehave();

	return rv ? rv : real->decrypt(session, in, len, out, out_len);
}

static ck_ulong
derive_key(ck_ulong session, struct ck_mechanism *mechanism, ck_ulong base,
	struct ck_attribute *attributes, ck_ulong count, ck_ulong *key)
{
	ck_ulong rv = misbehave();

	return rv ? rv : real->derive_key(session, mechanism, base, attributes, count, key);
}

ck_ulong C_GetFunctionList(const struct ck_functions **out);

__attribute__((visibility("default"))) ck_ulong
C_GetFunctionList(const struct ck_functions **out)
{
	ck_ulong (*get)(const struct ck_functions **);
	void *lib = dlopen(getenv("STUCK_MODULE"), RTLD_NOW), *symbol;
	ck_ulong rv;

	symbol = lib ? dlsym(lib, "C_GetFunctionList") : NULL;
	if (!symbol)
		return CKR_GENERAL_ERROR;
	memcpy(&get, &symbol, sizeof(get));
	rv = get(&real);
	if (rv != CKR_OK)
		return rv;
	ours = *real;
	ours.get_slot_list = get_slot_list;
	ours.login = login;
	ours.find_objects_init = find_objects_init;
	ours.decrypt_init = decrypt_init;
	ours.sign = sign;
	ours.decrypt = decrypt;
	ours.derive_key = derive_key;
	*out = &ours;
	return CKR_OK;
}
