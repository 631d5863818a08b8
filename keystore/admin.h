/* SPDX-License-Identifier: BSD-2-Clause */
/* clang-format off */
/*
 * admin.h - the operator's side of the vault: persons, keys, grants
 *
 * One entry point for the tool and later a web page. When sealgate-vault runs, the request goes
 * over admin.sock; otherwise the same code works on the store directly, if the caller may read the
 * store and the master key, holding the vault's lock. Requests and answers are JSON objects;
 * private material (PKCS#12 files, passwords) goes beside them in a secret, never in the JSON.
 *
 * Commands ("cmd") with their members; those in brackets may be absent. K is a key id or an address
 * (its newest active key, of the purpose that is asked for). Times in answers are RFC 3339, in
 * requests too. A right is needed on the socket: "keys", or "audit" where it says so.
 *
 *     key.new       addr [name] [kind person|role] [purpose both|sign|open|separate] [type
 * rsa2048|…] [days] [client_key] [also: true, although there is such a key]      → keys key.import
 * [addr] [name] [kind] [client_key]; blob: admin_pack           → keys (each with "known": true
 * when the key was there and only its certificate is new) key.list      [addr] [after] [limit ≤
 * 1000]                                 → keys, next key.show      key: K → keys with certificates,
 * grants key.cert      key: K [purpose sign|open]                                    → pem
 * (certificate and chain) key.renew     key: K [type] [days] → keys; the old one is retired
 *     key.retire    key: K          key.revoke  key: K                            → keys
 *
 *     ca.show                                                                     → pem ca.crl
 * [days]                                                        → pem ledger.head,
 * ledger.checkpoint (audit)                                      → seq hash epoch keyid checkpoint
 *     audit.pseudonyms (audit)  addr, periods: ["2026-11", …]                     → pseudonyms:
 * [{period, pseudonym, or erased: true}]
 *     audit.periods (audit)                                 → periods: those that have a key
 *     audit.erase (audit)  period: "2026-05", destroys its pseudonym key          → period record
 *     audit.retire (audit)  [before: time] [segment: the last one] [dry_run] → segments, more: true
 *                                                              when another call is to go on
 *     vault.budgets (either)  [least: percent]  → budgets: [{key | service, use, in_hour, hour, in_day, day}], more
 *     vault.status (either) → version pid
 *
 * Persons (P: an address that somebody has now, or a person's id; times may be left out: now, and
 * no end):
 *
 * person.add: addr [name] [kind] [aliases: addresses] [uid] [client_key] → person. person.show:
 * addr: P, or an address for everybody who ever had it → persons. person.list [after] [limit] →
 * persons, next. person.set: addr: P [name] [kind] [uid] [client_key]; person.rename: addr, new:
 * addresses [until] [name]; person.leave: addr: P [at] [keep] [end_addresses | to: P] [revoke];
 * person.return: addr: P; address.add: addr: P, new: address [since] [until]; address.end: addr [at
 * | never: true]; address.move: addr, to: P [at] → person.
 *
 * key.grant: owner: P, to: P [since] [until] [keep: true, when the owner leaves] → grant.
 * key.ungrant: grant → grant. grant.list [addr: P] [all: true, also what is over] [after] [limit] →
 * grants: [{grant, owner, person, from, to, since, until, keep, origin, live}], next.
 *
 * person.sync: person: P, or new: true with addr [name] [kind]; acts: [{do: …}], those of sync.h on
 * one person with their members: addr, from (id), owner: P, origin, grant, uid, name, at (seconds),
 * revoke. All of them or none → person.
 *
 * Outside CAs:
 *
 * key.list takes [full: true] as well: each key as key.show says it, 100 at a time.
 *
 * key.request: addr [name] [kind] [client_key] [purpose both|sign|open] [type] [subject] [renew:
 * true, in place of the active key] [also: true]; or key: K [addr] [subject] for a key that is
 * there. → keys (one; "known": true when it was asked for before), address, subject, csr (PEM)
 *
 * key.cert.add: [unasked: true, also for active keys without an open request]; blob: certificates
 * (PEM, DER, PKCS#7) → certificates: [{sha256, subject, issuer,
 * serial, not_after, outcome: added|known|unmatched|refused|ca|not-for-mail, [key, status, address,
 * reason]}]
 *
 * The organisation's CA:
 *
 * key.new and key.renew take [profile]; their answer has "limited", a time, when the CA's end made
 * a certificate shorter than wanted. key.renew: key: K [type] [days] [profile] [same_key]
 * [use_from: time | lead_days] → keys; the old one retires when the new one is used, at the latest
 * by key.settle → retired: how many. key.due: until: time [after] → keys that end by then and have
 * no successor ("ca": the one here that signed; absent: from elsewhere), next. key.revoke: key: K
 * [reason] [comment] → keys, outside: how many certificates other CAs have to revoke.
 *
 * ca.list → cas (with pem and chain); ca.show [key] [role root|issuing] → cas (one), pem. ca.new
 * [type] [csr: true] → cas, csr (PEM). ca.new-root [type] → cas. ca.renew [key] [csr] → cas, csr.
 * ca.import pem: certificates → cas. Where there are officers, ca.new-root and ca.import need them.
 * ca.crl [key] [days] [due: true] → crls: [{key, role, issuer, ski, entries, next_update, der
 * (base64)}].
 *
 * publish.list [addr] [after] → persons: [{person, addresses, former, certificates: [{sha256, want,
 * der, p7 (base64)}]}], next. publish.ours: sha256: […] → ours: those of keys here.
 *
 * Acts of two persons (approval.h). The command of such an act takes [reason] [hours] as well and
 * answers with request, text, threshold …; officer.run does it.
 *     key.export     key: K [to: PEM]; run with blob: a password   → key form; beside it the file
 *     key.delete     key: K                                        → keys
 *     audit.open     message: SHA-256, cipher, reason [addr]; blob: admin_pack_rinfos, in both
 *                                              → key recipient_info index; beside it the content key
 *     officer.change [add: [{pem, [name]}]] [remove: [id or name]] [threshold]      → officers …
 *     officer.init   officers: [{pem, [name]}] [threshold]         → as officer.list
 *     officer.list                               → officers threshold changed record
 *     officer.requests [all]                     → requests
 *     officer.show   request                     → request act state … approvals text threshold
 *     officer.approve request; blob: a signature → officer name given threshold …
 *     officer.withdraw request                   officer.run  request; blob: of the act → of the act
 *
 * Keys that stay in a token:
 *     key.token     uri [addr] and as key.new; blob: its certificate and those above it
 *                                                                      → as key.import
 *     token.list                       → tokens: [{token, state, [reason], keys: [{type, id, label, uri}]}]
 *     token.test    key: K             → key uri
 *
 * For root and the vault's own user; blob: a master key.
 *     vault.masters                                       → masters: [{state, source, since,
 * opened}] vault.rekey        to: SPEC [kdf]; blob: the new one, which opens the store from then on
 * too vault.rekey.check  blob: is it the new one? vault.rekey.finish blob: the new one, now in its
 * place; the old one opens nothing any more vault.rekey.cancel vault.reencrypt    blob: the present
 * one; everything under a new store key vault.backup       blob: parts (admin_backup.h) → seq size
 *     vault.backup.next  seq                        → done; beside the answer the next piece
 */
/* clang-format on */
#ifndef KEYSTORE_ADMIN_H
#define KEYSTORE_ADMIN_H

#include "base/conf.h"
#include "base/json.h"
#include "base/secret.h"

/* REQUEST: {"cmd":…, …}. BLOB: bytes that belong to it, or NULL. *answer: a parsed object, free
 * with json_free. Errors of the vault come back as they were. */
enum rc admin_call(struct conf *conf, const char *request, struct secret *blob,
	struct json_value **answer, struct err *err);
/* The same; *result: bytes that came beside the answer, or NULL. */
enum rc admin_call_result(struct conf *conf, const char *request, struct secret *blob,
	struct json_value **answer, struct secret **result, struct err *err);
/* The same for many requests, one after the other: the connection, or the vault on the files, stays
 * open in between. A connection that broke is made anew by the next request. */
struct admin_session;
enum rc admin_open(struct conf *conf, struct admin_session **out, struct err *err);
/* RESULT may be NULL. */
enum rc admin_ask(struct admin_session *session, const char *request, struct secret *blob,
	struct json_value **answer, struct secret **result, struct err *err);
void admin_close(struct admin_session **session); /* NULL is fine */
/*
 * Files with keys; the answers of key.import and key.pin have "keys" (as key.list) and "imports":
 * [{outcome imported|known|skipped, [key, purpose, status, type, chain], address, subject, serial,
 * notes: […]}], which have the same order.
 *
 *     key.import     [addr] [foreign: true] and as key.new; blob: passwords, of which one may fit,
 *                    the file with the keys, then files with further certificates
 *     key.hold       [addr] [foreign] [label]; blob: the file          → known, held: {held,
 * address, file, sha256, since, wrong, [locked], [key]}          (right hold, or keys) key.held
 * [after] [limit]                                  → files, next key.pin        held: id or
 * address; blob: the PIN               → as key.import, held (right pin, or keys) key.held.drop
 * held                                             → held  (right hold, or keys)
 */
/* The blob of key.import, key.hold and key.pin: passwords of which one may fit, the file with the
 * keys, and files with certificates only. ERR_LIMIT. */
struct admin_bytes {
	const void *data;
	size_t len;
};
enum rc admin_pack(const struct admin_bytes *passwords, size_t n_passwords,
	const struct admin_bytes *files, size_t n_files, struct secret **blob, struct err *err);

/* The blob of audit.open: N RecipientInfos as they stand in the message. */
struct rinfo;
enum rc
admin_pack_rinfos(const struct rinfo *rinfos, size_t n, struct secret **blob, struct err *err);

/* Makes an empty store, master key, organisation CA and ledger for CONF (`sealgate init`). */
struct admin_init {
	const char *organisation; /* name for the CA's subject; NULL: the domain */
	const char *domain;
	const char *ca_type; /* of the CA's key; NULL: rsa3072 */
};
enum rc
admin_init(struct conf *conf, const struct admin_init *init, struct buf *ca_pem, struct err *err);

#endif
