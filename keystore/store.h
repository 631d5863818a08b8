/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.h - the key store: persons, addresses, keys, certificates, grants (SQLite)
 *
 * Person ← addresses (from, until) ← keys ← certificates. Each private key is wrapped under the
 * store key, which the master key opens (store_root.h), and bound to its id, person, purpose and
 * fingerprint. Every row that matters carries an HMAC over all that it says: a row changed by hand
 * is refused with ERR_KEYSTORE_TAMPERED wherever it is read. A sum over all HMACs shows rows that
 * were removed, or put back as they once were (store_sum.c).
 *
 * Addresses are compared without case. Look-ups by address, by issuer and serial, and by
 * SubjectKeyIdentifier use an index. Nothing is unwrapped or parsed before somebody asks for it.
 *
 * Threads: any; one at a time is inside, and a transaction keeps the others out until it ends.
 * Limits:  STORE_MAX_ROWS rows in the lists about one person, key or identifier; past it, and past
 *          STORE_MAX_GRANTS grants, a list is ERR_LIMIT, never a part of it.
 */
#ifndef KEYSTORE_STORE_H
#define KEYSTORE_STORE_H

#include "crypto/cert.h"
#include "keystore/wrap.h"
#include "message/addr.h"

#include <stdint.h>

#define STORE_ID_SIZE     24 /* a letter and sixteen hex digits */
#define STORE_NAME_SIZE   256
#define STORE_ORIGIN_SIZE 80
#define STORE_UID_SIZE    136 /* of a person in a directory */
#define STORE_MAX_ROWS    1000
#define STORE_MAX_GRANTS  20000 /* on one person's keys, or to one person */

enum person_kind { PERSON_HUMAN, PERSON_ROLE, PERSON_ORGANISATION, PERSON_KINDS };
enum key_purpose { PURPOSE_SIGN = 1, PURPOSE_OPEN = 2, PURPOSE_BOTH = 3, PURPOSE_CA = 4 };
/* WAITING: made here, its certificate is to come from an outside CA; it does nothing till then.
 * DESTROYED: the private key is gone for good. */
enum key_status { KEY_ACTIVE, KEY_RETIRED, KEY_REVOKED, KEY_WAITING, KEY_DESTROYED, KEY_STATUSES };

const char *person_kind_name(enum person_kind kind);    /* "person", "role", "organisation" */
const char *key_purpose_name(enum key_purpose purpose); /* "sign", "open", "both", "ca" */
const char *key_status_name(enum key_status status);    /* "active", …, "destroyed" */
/* The other way round; false when TEXT is none of the words. */
bool person_kind_find(const char *text, enum person_kind *kind);
bool key_purpose_find(const char *text, enum key_purpose *purpose);

struct store_person {
	char id[STORE_ID_SIZE];
	char name[STORE_NAME_SIZE]; /* UTF-8 */
	enum person_kind kind;
	bool client_key; /* has the keys in a mail program as well */
	int64_t created;
	int64_t left; /* from then on they have left: nothing is signed with their keys, nothing
			 opened for them; 0: they have not */
	bool left_by_sync;        /* for the directory said so, not an administrator */
	char uid[STORE_UID_SIZE]; /* unique id in the directory that is followed; "": none */
	int64_t missing;          /* not found there since; 0: found when last looked for */
	int64_t seq;              /* ledger record that made the row what it is */
};
/* Is PERSON one whose keys may be used at AT? */
bool store_person_is_present(const struct store_person *person, int64_t at);

struct store_addr {
	char id[STORE_ID_SIZE];
	char person[STORE_ID_SIZE];
	char addr[ADDR_MAX + 1]; /* canonical */
	int64_t since, until;    /* seconds; until 0: no end. The address is theirs from since to
				    before until */
	bool synced;             /* came from the directory, and goes with it */
	int64_t seq;
};
/* Is the address theirs at AT? */
bool store_addr_is_live(const struct store_addr *addr, int64_t at);

struct store_key {
	char id[STORE_ID_SIZE];
	char person[STORE_ID_SIZE];
	enum key_purpose purpose;
	enum key_status status;
	enum key_type type;
	char fingerprint[2 * SHA256_SIZE + 1]; /* SHA-256 of the SubjectPublicKeyInfo, hex */
	int64_t created, changed;              /* changed: when the status last did */
	int64_t seq;
	int64_t use_from;             /* signs from then on; 0: from the beginning */
	char replaces[STORE_ID_SIZE]; /* the key whose successor it is, or "" */
};

struct store_cert {
	char sha256[2 * SHA256_SIZE + 1];
	char key[STORE_ID_SIZE];
	int64_t not_before, not_after;
	int64_t created;
	int64_t seq;
	struct cert *cert;    /* owned; NULL in lists that ask for no parsing */
	struct certset chain; /* above it, without the root's copy of itself */
};
void store_cert_fini(struct store_cert *cert);

/* PERSON may have mail opened with the keys of OWNER, by whichever address they have at the time:
 * who gets an address after them inherits nothing. */
struct store_grant {
	char id[STORE_ID_SIZE];
	char owner[STORE_ID_SIZE], person[STORE_ID_SIZE];
	char origin[STORE_ORIGIN_SIZE]; /* "": an administrator; "group:NAME": people_groups */
	int64_t since, until;           /* as with addresses */
	int64_t created;
	bool keep; /* goes on when the owner leaves */
	int64_t seq;
};
bool store_grant_is_live(const struct store_grant *grant, int64_t at);

struct store;

/* Makes an empty store; refuses an existing file. */
enum rc store_create(const char *path, const char *spec, const char *kdf, struct secret *master,
	struct store **out, struct err *err);
/* Opens it; until store_unlock only store_find_kdf (store_root.h) may be called. */
enum rc store_open(const char *path, struct store **out, struct err *err);
/* ERR_MASTER_KEY when MASTER is not this store's. */
enum rc store_unlock(struct store *store, struct secret *master, struct err *err);
void store_close(struct store **store);
/* Writes everything into the main file and empties the write-ahead log. ERR_KEYSTORE when another
 * reader of the file keeps it from doing so. */
enum rc store_checkpoint(struct store *store, struct err *err);
/* Do the rows add up (store_sum.c)? ERR_KEYSTORE_TAMPERED: some were removed, or put back as they
 * once were; from then on the store is broken and takes no changes. Done by store_unlock; call it
 * again when store_version changed. */
enum rc store_check(struct store *store, struct err *err);
bool store_is_broken(struct store *store);
/* Changes whenever somebody else changed the file since we last looked. */
enum rc store_version(struct store *store, int64_t *version, struct err *err);
/*
 * Before a row that was read earlier is used: looks ten times a second whether somebody else
 * changed the file, and checks the rows then. ERR_KEYSTORE_TAMPERED when the store is broken.
 */
enum rc store_look(struct store *store, struct err *err);
/* The same at once, whenever the last look was: before what an operator asks for. */
enum rc store_look_now(struct store *store, struct err *err);
/* Another number after every change of rows, by us or (once store_look saw it) by others. Taken
 * before rows are read, it tells later whether they are still what they were. */
uint64_t store_generation(const struct store *store);

/* One writer at a time. Between them every call belongs to the transaction; the commit is durable.
 */
enum rc store_begin(struct store *store, struct err *err);
enum rc store_commit(struct store *store, struct err *err);
void store_rollback(struct store *store); /* harmless when none is open */

/* A new id that begins with LETTER. */
enum rc store_new_id(char letter, char id[STORE_ID_SIZE], struct err *err);

/* --- persons and addresses: store_person.c; grants: store_grant.c --- */
/* Puts replace the row of the same id. */
enum rc store_put_person(struct store *store, const struct store_person *person, struct err *err);
enum rc
store_get_person(struct store *store, const char *id, struct store_person *out, struct err *err);
/* Who has the unique id UID? RC_NONE: nobody. */
enum rc
store_find_uid(struct store *store, const char *uid, struct store_person *out, struct err *err);
enum rc store_put_addr(struct store *store, const struct store_addr *addr, struct err *err);
/* Who has ADDR at the time AT? RC_NONE: nobody. */
enum rc store_find_addr(
	struct store *store, const char *addr, int64_t at, struct store_addr *out, struct err *err);
enum rc store_put_grant(struct store *store, const struct store_grant *grant, struct err *err);
enum rc store_del_grant(struct store *store, const char *id, struct err *err);
enum rc
store_get_grant(struct store *store, const char *id, struct store_grant *out, struct err *err);
/* Is there a grant on OWNER's keys for PERSON at AT? RC_OK or RC_NONE. */
enum rc store_find_grant(struct store *store, const char *owner, const char *person, int64_t at,
	struct store_grant *out, struct err *err);

/* store_find_addr, store_find_grant with *until: when the answer may be another one, if no row
 * changes; INT64_MAX: never. */
enum rc store_find_addr_until(struct store *store, const char *addr, int64_t at,
	struct store_addr *out, int64_t *until, struct err *err);
enum rc store_find_grant_until(struct store *store, const char *owner, const char *person,
	int64_t at, struct store_grant *out, int64_t *until, struct err *err);

/* Lists: EACH is called for every row and may stop the list by returning something else than RC_OK,
 * which is then the result. It may call the store, but not the same list. AFTER: id that the list
 * begins behind, "" for all; MAX rows. */
typedef enum rc store_each_person(void *ctx, const struct store_person *person, struct err *err);
enum rc store_list_persons(struct store *store, const char *after, size_t max,
	store_each_person *each, void *ctx, struct err *err);
typedef enum rc store_each_addr(void *ctx, const struct store_addr *addr, struct err *err);
enum rc store_list_addrs(
	struct store *store, const char *person, store_each_addr *each, void *ctx, struct err *err);
/* Everybody who ever had ADDR, or is to have it, by time. */
enum rc store_list_holders(
	struct store *store, const char *addr, store_each_addr *each, void *ctx, struct err *err);
/* Grants that are not over at AT (0: all that there ever were): on the keys of OWNER, or to PERSON
 * (the other one is NULL). */
typedef enum rc store_each_grant(void *ctx, const struct store_grant *grant, struct err *err);
enum rc store_list_grants(struct store *store, const char *owner, const char *person, int64_t at,
	store_each_grant *each, void *ctx, struct err *err);
/* All grants by id, behind AFTER, MAX of them. */
enum rc store_list_all_grants(struct store *store, const char *after, size_t max,
	store_each_grant *each, void *ctx, struct err *err);

/* --- keys: store_key.c; certificates: store_cert.c --- */
/* Keeps a new key with a fallback secret of its own. ERR_KEY_EXISTS when its fingerprint is there.
 */
enum rc store_add_key(
	struct store *store, const struct store_key *key, const struct pkey *pkey, struct err *err);
enum rc store_get_key(struct store *store, const char *id, struct store_key *out, struct err *err);
enum rc store_find_key(
	struct store *store, const char *fingerprint, struct store_key *out, struct err *err);
enum rc store_set_status(struct store *store, const char *id, enum key_status status, int64_t at,
	int64_t seq, struct err *err);
/* Overwrites the private key; the row stays, as KEY_DESTROYED for ever. Call store_checkpoint after
 * the commit: the bytes are in the write-ahead log until then. */
enum rc
store_destroy_key(struct store *store, const char *id, int64_t at, int64_t seq, struct err *err);
/* Unwraps and parses; FALLBACK may be NULL. ERR_VAULT_NO_KEY when it was destroyed. */
enum rc store_unwrap_key(struct store *store, const char *id, struct pkey **pkey,
	struct secret **fallback, struct err *err);
/* The keys of PERSON, newest first; all keys when PERSON is NULL (by id, behind AFTER, MAX of
 * them). */
typedef enum rc store_each_key(void *ctx, const struct store_key *key, struct err *err);
enum rc store_list_keys(struct store *store, const char *person, const char *after, size_t max,
	store_each_key *each, void *ctx, struct err *err);

/* Adds CERT with its chain to KEY; the same certificate again is fine. */
enum rc store_add_cert(struct store *store, const char *key, struct cert *cert,
	const struct certset *chain, int64_t now, int64_t seq, struct err *err);
/* The certificate of KEY that is valid at AT and began last; RC_NONE when none is. */
enum rc store_current_cert(
	struct store *store, const char *key, int64_t at, struct store_cert *out, struct err *err);
enum rc
store_get_cert(struct store *store, const char *sha256, struct store_cert *out, struct err *err);
/* Every certificate that stands above one of ours: candidates for a chain, to be verified. */
enum rc store_known_cas(struct store *store, struct certset *out, struct err *err);
/* Certificates of KEY without parsing them (cert NULL, chain empty), newest first. */
typedef enum rc store_each_cert(void *ctx, const struct store_cert *cert, struct err *err);
enum rc store_list_certs(
	struct store *store, const char *key, store_each_cert *each, void *ctx, struct err *err);
/*
 * Keys that a RecipientInfo names: LEN 32 with IDENT: SHA-256 over issuer Name and serial
 * (store_ident), else the SubjectKeyIdentifier. Several keys may have one SKI. At most MAX ids; *n
 * 0: none.
 */
enum rc store_match(struct store *store, bool is_ski, const void *value, size_t len,
	char (*ids)[STORE_ID_SIZE], size_t max, size_t *n, struct err *err);
enum rc store_ident(const void *issuer, size_t issuer_len, const void *serial, size_t serial_len,
	unsigned char out[SHA256_SIZE], struct err *err);

/* --- secrets of other parts of the vault (the ledger's keys), by name --- */
enum rc
store_put_secret(struct store *store, const char *name, struct secret *secret, struct err *err);
enum rc
store_get_secret(struct store *store, const char *name, struct secret **out, struct err *err);
/* Names from NAME up to LAST in the order of strcmp; overwritten on the disk. */
enum rc
store_del_secrets(struct store *store, const char *first, const char *last, struct err *err);
/* Calls EACH with the names that begin with PREFIX, in order; EACH must not call the store. What
 * EACH returns other than RC_OK ends the list and is the result. */
typedef enum rc store_each_name(void *ctx, const char *name, struct err *err);
enum rc store_list_secrets(
	struct store *store, const char *prefix, store_each_name *each, void *ctx, struct err *err);

#endif
