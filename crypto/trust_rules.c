/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/trust_rules.h"

#include "crypto/name_text.h"
#include "crypto/openssl_glue.h"
#include "crypto/path.h"

#include <openssl/ec.h>
#include <openssl/objects.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIN_SECURITY  112 /* bits, of a certificate's signature: SHA-224 and better */
#define MIN_EC        224 /* bits */
#define SENTENCE_SIZE 384

/* The acceptable policies. None given means anyPolicy, and that has to be said: to OpenSSL an empty
 * set is one that nothing satisfies when a CA requires an explicit policy. */
static enum rc
add_policies(struct trust_rules *rules, const struct trust_options *options,
	const struct trust_rules *fallback, struct err *err)
{
	size_t i;

	rules->policies =
		fallback && !options->n_policies
			? sk_ASN1_OBJECT_deep_copy(fallback->policies, OBJ_dup, ASN1_OBJECT_free)
			: sk_ASN1_OBJECT_new_null();
	if (!rules->policies)
		return ossl_err(err, ERR_MEMORY, "certificate policies");
	if (options->n_policies > RULES_MAX_POLICIES)
		return err_set(
			err, ERR_LIMIT, "more than %d certificate policies", RULES_MAX_POLICIES);
	if (!options->n_policies && !fallback &&
		!sk_ASN1_OBJECT_push(rules->policies, OBJ_nid2obj(NID_any_policy))) /* static */
		return ossl_err(err, ERR_MEMORY, "certificate policies");
	for (i = 0; i < options->n_policies; i++) {
		ASN1_OBJECT *oid = OBJ_txt2obj(options->policies[i], 0);

		if (!oid)
			return ossl_err(err, ERR_USAGE, "no object identifier: %.100s",
				options->policies[i]);
		if (!sk_ASN1_OBJECT_push(rules->policies, oid)) {
			ASN1_OBJECT_free(oid);
			return ossl_err(err, ERR_MEMORY, "certificate policies");
		}
	}
	return RC_OK;
}

/* NIST's names (P-256) and OpenSSL's (prime256v1, brainpoolP256r1). */
static enum rc
add_curves(struct trust_rules *rules, const struct trust_options *options, struct err *err)
{
	size_t i;

	if (options->n_curves > RULES_MAX_CURVES)
		return err_set(err, ERR_LIMIT, "more than %d curves", RULES_MAX_CURVES);
	for (i = 0; i < options->n_curves; i++) {
		int nid = EC_curve_nist2nid(options->curves[i]);

		if (nid == NID_undef)
			nid = OBJ_sn2nid(options->curves[i]);
		ossl_clear();
		if (nid == NID_undef)
			return err_set(
				err, ERR_USAGE, "no elliptic curve: %.60s", options->curves[i]);
		rules->curves[i] = nid;
	}
	rules->n_curves = options->n_curves;
	return RC_OK;
}

enum rc
trust_rules_init(struct trust_rules *rules, const struct trust_options *options,
	const struct trust_rules *fallback, struct err *err)
{
	static const struct trust_rules none = {.subject_address = SUBJECT_ADDRESS_IF_ALONE};
	enum rc rc;

	*rules = fallback ? *fallback : none;
	rules->policies = NULL;
	if (!fallback || options->own_revocation)
		rules->revocation = (struct revocation_rule){.mode = options->revocation,
			.grace = options->revocation_grace,
			.dated = options->revocation_dated};
	if (options->min_rsa)
		rules->min_rsa = options->min_rsa;
	if (options->sha1_until)
		rules->sha1_until = options->sha1_until;
	if (options->subject_address)
		rules->subject_address = options->subject_address;
	rules->require_policy |= options->require_policy;
	rules->inhibit_mapping |= options->inhibit_mapping;
	rules->inhibit_any |= options->inhibit_any;
	rc = options->n_curves ? add_curves(rules, options, err) : RC_OK;
	if (rc == RC_OK)
		rc = add_policies(rules, options, fallback, err);
	if (rc != RC_OK)
		trust_rules_fini(rules);
	return rc;
}

void
trust_rules_fini(struct trust_rules *rules)
{
	sk_ASN1_OBJECT_pop_free(rules->policies, ASN1_OBJECT_free);
	*rules = (struct trust_rules){0};
}

static bool
curve_is_fit(const struct trust_rules *rules, const EVP_PKEY *key)
{
	char name[80];
	size_t len, i;
	int nid;

	if (EVP_PKEY_get_bits(key) < MIN_EC)
		return false;
	if (!rules->n_curves)
		return true;
	if (!EVP_PKEY_get_group_name(key, name, sizeof(name), &len))
		return false;
	nid = OBJ_sn2nid(name);
	for (i = 0; i < rules->n_curves; i++)
		if (nid != NID_undef && rules->curves[i] == nid)
			return true;
	return false;
}

/* A sentence's end about the key, or NULL. TEXT: room for it. */
static const char *
key_trouble(const struct trust_rules *rules, X509 *x509, char text[SENTENCE_SIZE])
{
	EVP_PKEY *key = X509_get0_pubkey(x509); /* get0 */

	switch (key ? EVP_PKEY_get_base_id(key) : NID_undef) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		if (EVP_PKEY_get_bits(key) >= rules->min_rsa)
			return NULL;
		(void)snprintf(text, SENTENCE_SIZE, "is too short: %d bits, not %d",
			EVP_PKEY_get_bits(key), rules->min_rsa);
		return text;
	case EVP_PKEY_EC:
		return curve_is_fit(rules, key) ? NULL : "is of a curve that is not accepted";
	case EVP_PKEY_DSA:
		return "is a DSA key, which is no longer accepted";
	default:
		return NULL;
	}
}

/* When the signature of X509 was made, as near as it says. */
static int64_t
made_at(const X509 *x509)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notBefore(x509), &tm) ? (int64_t)timegm(&tm) : INT64_MAX;
}

/* Likewise about the hash of its signature. */
static const char *
hash_trouble(const struct trust_rules *rules, X509 *x509, char text[SENTENCE_SIZE])
{
	int hash = NID_undef, bits = 0;

	if (!X509_get_signature_info(x509, &hash, NULL, &bits, NULL))
		return NULL; /* an algorithm that nobody knows verifies nowhere */
	if (hash == NID_sha1 && made_at(x509) < rules->sha1_until)
		return NULL;
	if (bits >= MIN_SECURITY)
		return NULL;
	(void)snprintf(text, SENTENCE_SIZE, "is signed with a hash that is too weak (%s)",
		hash == NID_undef ? "unknown" : OBJ_nid2sn(hash));
	return text;
}

static void
note_weak(struct verdict *verdict, const X509 *x509, const char *fmt, const char *end)
{
	char name[NAME_TEXT_SIZE], text[SENTENCE_SIZE];

	verdict->strength = STRENGTH_WEAK;
	name_text_of(x509, name);
	(void)snprintf(text, sizeof(text), "the %s of %s %s", fmt, name, end);
	path_note(verdict, VERDICT_STRENGTH, x509, text);
}

void
trust_rules_strength(
	const struct trust_rules *rules, X509 *const *chain, int n, struct verdict *verdict)
{
	char text[SENTENCE_SIZE];
	int i;

	for (i = 0; i < n; i++) {
		const char *trouble = key_trouble(rules, chain[i], text);

		if (trouble)
			note_weak(verdict, chain[i], "key", trouble);
		/* the anchor's own hash says nothing */
		if (i < n - 1 && (trouble = hash_trouble(rules, chain[i], text)) != NULL)
			note_weak(verdict, chain[i], "certificate", trouble);
	}
	ossl_clear();
}

void
trust_rules_sender(const struct trust_rules *rules, struct cert *leaf, const char *addr,
	struct verdict *verdict)
{
	const char *const *addrs;
	bool subject = rules->subject_address == SUBJECT_ADDRESS_ALWAYS;

	if (!addr)
		return;
	if (rules->subject_address == SUBJECT_ADDRESS_IF_ALONE)
		subject = !cert_addrs(leaf, false, &addrs);
	verdict_forget(verdict, VERDICT_SENDER);
	if (cert_has_addr(leaf, addr, subject)) {
		verdict->sender = SENDER_MATCH;
		return;
	}
	verdict->sender = SENDER_MISMATCH;
	if (cert_has_addr(leaf, addr, true))
		verdict_note(verdict, VERDICT_SENDER, leaf,
			"the certificate has %.120s in its subject only, and that does not count here",
			addr);
	else if (cert_addrs(leaf, true, &addrs))
		verdict_note(verdict, VERDICT_SENDER, leaf,
			"the certificate is for %.120s, not for %.120s", addrs[0], addr);
	else
		verdict_note(verdict, VERDICT_SENDER, leaf,
			"the certificate has no mail address, so it is not for %.120s", addr);
}
