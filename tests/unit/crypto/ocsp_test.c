/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ocsp.h"

#include "base/clock.h"
#include "base/file.h"
#include "crypto/fetched.h"
#include "crypto/ocsp_response.h"
#include "crypto/trust.h"
#include "tests/unit/crypto/lists.h"
#include "tests/unit/crypto/pki.h"

#include <openssl/bio.h>
#include <openssl/ocsp.h>

#define DAY 86400

/* OpenSSL dates its responses by the real clock. */
static int64_t now;

/* Root → leaf, and responders of several kinds. */
struct world {
	EVP_PKEY *root_key, *key, *stranger_key;
	X509 *root_x, *leaf_x, *stranger_x;
	X509 *responder, *plain, *nocheck_less, *expired, *foreign;
	struct cert *root, *leaf, *other;
};

static X509 *
make_responder(struct world *w, const char *name, bool eku, bool nocheck, int64_t until,
	X509 *issuer, EVP_PKEY *issuer_key)
{
	struct pki_spec spec = {.name = name,
		.key = w->key,
		.issuer = issuer,
		.issuer_key = issuer_key,
		.from = now - 99 * DAY,
		.until = until ? until : now + 99 * DAY};
	size_t n = 0;

	spec.exts[n++] = (struct pki_ext){NID_key_usage, "digitalSignature"};
	if (eku)
		spec.exts[n++] = (struct pki_ext){NID_ext_key_usage, "OCSPSigning"};
	if (nocheck)
		spec.exts[n++] = (struct pki_ext){NID_id_pkix_OCSP_noCheck, "ignored"};
	return pki_x509(&spec);
}

static X509 *
make_root(const char *name, EVP_PKEY *key)
{
	return pki_x509(&(struct pki_spec){.name = name,
		.key = key,
		.from = now - 99 * DAY,
		.until = now + 99 * DAY,
		.exts = {{NID_basic_constraints, "critical,CA:TRUE"},
			{NID_key_usage, "keyCertSign,cRLSign"}}});
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	clock_set(-1);
	now = clock_now();
	clock_set(now);
	w->root_key = pki_p256();
	w->key = pki_p256();
	w->stranger_key = pki_p256();
	w->root_x = make_root("Root", w->root_key);
	w->stranger_x = make_root("Root", w->stranger_key);
	w->leaf_x = pki_x509(&(struct pki_spec){
		.name = "Leaf", .key = w->key, .issuer = w->root_x, .issuer_key = w->root_key});
	w->other = pki_cert(&(struct pki_spec){
		.name = "Other", .key = w->key, .issuer = w->root_x, .issuer_key = w->root_key});
	w->responder = make_responder(w, "Responder", true, true, 0, w->root_x, w->root_key);
	w->plain = make_responder(w, "Plain", false, true, 0, w->root_x, w->root_key);
	w->nocheck_less = make_responder(w, "Checked", true, false, 0, w->root_x, w->root_key);
	w->expired = make_responder(w, "Expired", true, true, now - DAY, w->root_x, w->root_key);
	w->foreign = make_responder(w, "Foreign", true, true, 0, w->stranger_x, w->stranger_key);
	w->root = pki_copy(w->root_x);
	w->leaf = pki_copy(w->leaf_x);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	X509 *all[] = {w->root_x, w->leaf_x, w->stranger_x, w->responder, w->plain, w->nocheck_less,
		w->expired, w->foreign};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		X509_free(all[i]);
	EVP_PKEY_free(w->root_key);
	EVP_PKEY_free(w->key);
	EVP_PKEY_free(w->stranger_key);
	cert_unref(&w->root);
	cert_unref(&w->leaf);
	cert_unref(&w->other);
	free(w);
	clock_set(-1);
	return 0;
}

/* A response as OpenSSL's responder makes it. */
enum signer { BY_CA, BY_RESPONDER, BY_PLAIN, BY_CHECKED, BY_EXPIRED, BY_FOREIGN, BY_STRANGER };

struct answer {
	int status; /* V_OCSP_CERTSTATUS_… */
	enum signer by;
	int from, until; /* days from now; until 0: none */
	int reason;      /* of a revocation; 0: none */
	bool other;      /* about another certificate */
	bool sha256;     /* CertID */
	bool by_key;     /* responder's name is its key */
	int critical;    /* 1: in the answer, 2: in the response: an extension that nobody knows */
	const unsigned char *nonce; /* NULL: none */
	int cutoff;                 /* archiveCutoff, days from now; 0: none */
};

static void
add_critical(OCSP_BASICRESP *basic, OCSP_SINGLERESP *single, int where)
{
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.99999.7", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	assert_true(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05", 2));
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
	if (where == 1)
		assert_true(OCSP_SINGLERESP_add_ext(single, ext, -1));
	else
		assert_true(OCSP_BASICRESP_add_ext(basic, ext, -1));
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(oid);
}

static void
add_cutoff(OCSP_SINGLERESP *single, int days)
{
	ASN1_GENERALIZEDTIME *at = ASN1_GENERALIZEDTIME_adj(NULL, (time_t)(now + days * DAY), 0, 0);

	assert_true(OCSP_SINGLERESP_add1_ext_i2d(single, NID_id_pkix_OCSP_archiveCutoff, at, 0, 0));
	ASN1_GENERALIZEDTIME_free(at);
}

static void
sign(struct world *w, const struct answer *answer, OCSP_BASICRESP *basic)
{
	const struct {
		X509 *cert;
		EVP_PKEY *key;
	} signers[] = {
		[BY_CA] = {w->root_x, w->root_key},
		[BY_RESPONDER] = {w->responder, w->key},
		[BY_PLAIN] = {w->plain, w->key},
		[BY_CHECKED] = {w->nocheck_less, w->key},
		[BY_EXPIRED] = {w->expired, w->key},
		[BY_FOREIGN] = {w->foreign, w->key},
		[BY_STRANGER] = {w->stranger_x, w->stranger_key},
	};
	unsigned long flags =
		(answer->by_key ? OCSP_RESPID_KEY : 0) | (answer->by == BY_CA ? OCSP_NOCERTS : 0);

	assert_true(OCSP_basic_sign(basic, signers[answer->by].cert, signers[answer->by].key,
		EVP_sha256(), NULL, flags));
}

static void
make(struct world *w, const struct answer *answer, struct buf *der)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	ASN1_TIME *from = ASN1_TIME_adj(NULL, now + answer->from * DAY, 0, 0);
	ASN1_TIME *until = ASN1_TIME_adj(NULL, now + answer->until * DAY, 0, 0);
	ASN1_TIME *when = ASN1_TIME_adj(NULL, now - 3 * DAY, 0, 0);
	X509 *x509 = answer->other ? w->plain : w->leaf_x;
	OCSP_CERTID *id =
		OCSP_cert_to_id(answer->sha256 ? EVP_sha256() : EVP_sha1(), x509, w->root_x);
	OCSP_SINGLERESP *single;
	OCSP_RESPONSE *response;
	unsigned char *bytes = NULL;
	int len;

	single = OCSP_basic_add1_status(basic, id, answer->status,
		answer->reason ? answer->reason : OCSP_REVOKED_STATUS_NOSTATUS, when, from,
		answer->until ? until : NULL);
	assert_non_null(single);
	if (answer->critical)
		add_critical(basic, single, answer->critical);
	if (answer->cutoff)
		add_cutoff(single, answer->cutoff);
	if (answer->nonce)
		assert_true(OCSP_basic_add1_nonce(
			basic, (unsigned char *)answer->nonce, OCSP_NONCE_SIZE));
	sign(w, answer, basic);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	len = i2d_OCSP_RESPONSE(response, &bytes);
	assert_true(len > 0);
	assert_int_equal(buf_append(der, bytes, (size_t)len, NULL), RC_OK);
	OPENSSL_free(bytes);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_TIME_free(when);
}

static struct trust *
new_trust(struct cert *anchor)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct trust *trust;

	assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, anchor, NULL, 0, NULL), RC_OK);
	return trust;
}

static void
expect(const char *name, struct trust *trust, struct cert *leaf, int64_t at,
	enum verdict_revocation want, const char *word)
{
	struct verdict v;

	verdict_init(&v);
	assert_int_equal(trust_check(trust, leaf, NULL, 0, NULL, at, &v, NULL), RC_OK);
	if (v.path != PATH_VALID || v.revocation != want ||
		!strstr(verdict_text(&v, VERDICT_REVOCATION), word))
		fail_msg("%s: got path %s, %s (%s), want %s (%s)", name, verdict_path_name(v.path),
			verdict_revocation_name(v.revocation), verdict_text(&v, VERDICT_REVOCATION),
			verdict_revocation_name(want), word);
	verdict_fini(&v);
}

#define GOOD                         V_OCSP_CERTSTATUS_GOOD
#define REVOKED                      V_OCSP_CERTSTATUS_REVOKED
#define UNKNOWN                      V_OCSP_CERTSTATUS_UNKNOWN
#define ANSWER(what, who, since, to) .status = (what), .by = (who), .from = (since), .until = (to)

static void
answers_are_judged(void **state)
{
	static const struct {
		const char *name;
		struct answer answer;
		enum verdict_revocation want;
		const char *word;
	} cases[] = {
		{"good", {ANSWER(GOOD, BY_CA, -1, 1)}, REVOCATION_GOOD, ""},
		{"SHA-256", {ANSWER(GOOD, BY_CA, -1, 1), .sha256 = true}, REVOCATION_GOOD, ""},
		{"by key", {ANSWER(GOOD, BY_CA, -1, 1), .by_key = true}, REVOCATION_GOOD, ""},
		{"delegated", {ANSWER(GOOD, BY_RESPONDER, -1, 1)}, REVOCATION_GOOD, ""},
		{"delegated, by key", {ANSWER(GOOD, BY_RESPONDER, -1, 1), .by_key = true},
			REVOCATION_GOOD, ""},
		{"revoked", {ANSWER(REVOKED, BY_CA, -1, 1), .reason = 1}, REVOCATION_REVOKED,
			"(keyCompromise), by the OCSP answer of 2"},
		{"revoked, no reason", {ANSWER(REVOKED, BY_RESPONDER, -1, 1)}, REVOCATION_REVOKED,
			", by the OCSP answer of 2"},
		{"revoked, out of date", {ANSWER(REVOKED, BY_CA, -9, -8)}, REVOCATION_REVOKED, ""},
		{"unknown", {ANSWER(UNKNOWN, BY_CA, -1, 1)}, REVOCATION_UNKNOWN,
			"does not know the certificate"},
		{"another certificate", {ANSWER(GOOD, BY_CA, -1, 1), .other = true},
			REVOCATION_UNKNOWN, "there is no CRL of its issuer"},
		{"out of date", {ANSWER(GOOD, BY_CA, -3, -1)}, REVOCATION_UNKNOWN, "out of date"},
		{"no next date", {ANSWER(GOOD, BY_CA, -6, 0)}, REVOCATION_GOOD, ""},
		{"no next date, old", {ANSWER(GOOD, BY_CA, -8, 0)}, REVOCATION_UNKNOWN,
			"out of date"},
		{"of the future", {ANSWER(GOOD, BY_CA, 1, 2)}, REVOCATION_UNKNOWN, "future"},
		{"critical extension", {ANSWER(GOOD, BY_CA, -1, 1), .critical = 1},
			REVOCATION_UNKNOWN, "critical extension"},
		{"critical extension of all", {ANSWER(GOOD, BY_CA, -1, 1), .critical = 2},
			REVOCATION_UNKNOWN, "critical extension"},
		{"not for answering", {ANSWER(GOOD, BY_PLAIN, -1, 1)}, REVOCATION_UNKNOWN,
			"not for answering"},
		{"a CA of the same name", {ANSWER(GOOD, BY_FOREIGN, -1, 1)}, REVOCATION_UNKNOWN,
			"not by the CA"},
		{"the CA's name, another key", {ANSWER(GOOD, BY_STRANGER, -1, 1)},
			REVOCATION_UNKNOWN, "not for answering"},
		{"expired responder", {ANSWER(GOOD, BY_EXPIRED, -1, 1)}, REVOCATION_UNKNOWN,
			"out of date"},
		{"responder that might be revoked", {ANSWER(GOOD, BY_CHECKED, -1, 1)},
			REVOCATION_GOOD, ""},
	};
	struct world *w = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust *trust = new_trust(w->root);
		struct buf der = BUF_INIT(0);
		make(w, &cases[i].answer, &der);
		assert_int_equal(trust_add_ocsp(trust, der.data, der.len, "a.ocsp", NULL), RC_OK);
		expect(cases[i].name, trust, w->leaf, -1, cases[i].want, cases[i].word);
		buf_fini(&der);
		trust_unref(&trust);
	}
}

/* Who answers for a CA is held to the floors of its anchor like the CA itself. */
static void
weak_responders_are_told(void **state)
{
	static const struct {
		const char *name;
		int bits, floor;
		enum verdict_strength want;
	} cases[] = {
		{"too short", 1024, 2048, STRENGTH_WEAK},
		{"long enough", 2048, 2048, STRENGTH_OK},
		{"long enough for its anchor", 1024, 1024, STRENGTH_OK},
	};
	struct world *w = *state;
	EVP_PKEY *usual = w->key;
	X509 *responder = w->responder;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048},
				     rules = {.min_rsa = cases[i].floor};
		struct buf der = BUF_INIT(0);
		struct trust *trust;
		struct verdict v;

		w->key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)cases[i].bits);
		assert_non_null(w->key);
		w->responder =
			make_responder(w, "Responder", true, true, 0, w->root_x, w->root_key);
		make(w, &(struct answer){ANSWER(GOOD, BY_RESPONDER, -1, 1)}, &der);
		assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
		assert_int_equal(
			trust_add_anchor_with(trust, w->root, NULL, 0, &rules, NULL), RC_OK);
		assert_int_equal(trust_add_ocsp(trust, der.data, der.len, NULL, NULL), RC_OK);
		verdict_init(&v);
		assert_int_equal(trust_check(trust, w->leaf, NULL, 0, NULL, -1, &v, NULL), RC_OK);
		CHECK_INT(cases[i].name, v.revocation, REVOCATION_GOOD);
		CHECK_INT(cases[i].name, v.strength, cases[i].want);
		verdict_fini(&v);
		trust_unref(&trust);
		buf_fini(&der);
		X509_free(w->responder);
		EVP_PKEY_free(w->key);
	}
	w->responder = responder;
	w->key = usual;
}

/* A responder need not know any more whether somebody who expired was revoked, unless it says that
 * it keeps them. */
static void
expired_certificates_may_be_forgotten(void **state)
{
	static const struct {
		const char *name;
		struct answer answer;
		enum verdict_revocation want;
		const char *word;
	} cases[] = {
		{"before its end", {ANSWER(GOOD, BY_CA, -3, 1)}, REVOCATION_GOOD, ""},
		{"after its end", {ANSWER(GOOD, BY_CA, -1, 1)}, REVOCATION_UNKNOWN,
			"expired before"},
		{"kept", {ANSWER(GOOD, BY_CA, -1, 1), .cutoff = -30}, REVOCATION_GOOD, ""},
		{"not kept so long", {ANSWER(GOOD, BY_CA, -1, 1), .cutoff = -1}, REVOCATION_UNKNOWN,
			"expired before"},
		{"revoked", {ANSWER(REVOKED, BY_CA, -1, 1)}, REVOCATION_REVOKED, "revoked"},
	};
	struct world *w = *state;
	X509 *usual = w->leaf_x;
	struct buf der = BUF_INIT(0);
	struct cert *gone;
	size_t i;

	w->leaf_x = pki_x509(&(struct pki_spec){.name = "Gone",
		.key = w->key,
		.from = now - 9 * DAY,
		.until = now - 2 * DAY,
		.issuer = w->root_x,
		.issuer_key = w->root_key});
	gone = pki_copy(w->leaf_x);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trust *trust = new_trust(w->root);

		make(w, &cases[i].answer, &der);
		assert_int_equal(trust_add_ocsp(trust, der.data, der.len, NULL, NULL), RC_OK);
		expect(cases[i].name, trust, gone, now - 3 * DAY, cases[i].want, cases[i].word);
		trust_unref(&trust);
		buf_clear(&der);
	}
	buf_fini(&der);
	cert_unref(&gone);
	X509_free(w->leaf_x);
	w->leaf_x = usual;
}

/* Where the CA is known, what it did not have signed is not kept, nor does it keep anything out. */
static void
forged_answers_are_not_kept(void **state)
{
	static const struct {
		const char *name;
		enum signer by, old;
		int from, old_from;
		bool known;
		enum rc want;
	} cases[] = {
		{"the CA's", BY_CA, BY_CA, -1, -2, true, RC_OK},
		{"a responder's", BY_RESPONDER, BY_CA, -1, -2, true, RC_OK},
		{"older", BY_CA, BY_RESPONDER, -2, -1, true, RC_TEMP},
		{"a stranger's", BY_STRANGER, BY_CA, -1, -2, true, RC_TEMP},
		{"of a CA of the same name", BY_FOREIGN, BY_CA, -1, -2, true, RC_TEMP},
		{"not for answering", BY_PLAIN, BY_CA, -1, -2, true, RC_TEMP},
		{"forged before", BY_CA, BY_STRANGER, -2, -1, true, RC_OK},
		{"nobody knows", BY_STRANGER, BY_CA, -1, -2, false, RC_OK},
		{"nobody knows, older", BY_CA, BY_STRANGER, -2, -1, false, RC_TEMP},
	};
	struct world *w = *state;
	struct buf request = BUF_INIT(0);
	struct certset known = {0};
	size_t i;

	assert_int_equal(ocsp_request(w->leaf, w->root, &request, NULL), RC_OK);
	assert_int_equal(certset_add(&known, w->other, NULL), RC_OK);
	assert_int_equal(certset_add(&known, w->root, NULL), RC_OK);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf fresh = BUF_INIT(0), old = BUF_INIT(0);
		struct fetched_answer answer = {.request = request.data,
			.request_len = request.len,
			.known = cases[i].known ? &known : NULL};
		struct fetched out;

		make(w, &(struct answer){ANSWER(GOOD, cases[i].old, cases[i].old_from, 1)}, &old);
		make(w, &(struct answer){ANSWER(GOOD, cases[i].by, cases[i].from, 1)}, &fresh);
		answer.old = old.data;
		answer.old_len = old.len;
		answer.old_begins = now + cases[i].old_from * DAY;
		CHECK_INT(cases[i].name,
			fetched_ocsp(&answer, fresh.data, fresh.len, now, &out, NULL),
			cases[i].want);
		fetched_fini(&out);
		buf_fini(&fresh);
		buf_fini(&old);
	}
	certset_fini(&known);
	buf_fini(&request);
}

/* A responder whom an administrator denies clears nobody; nor does it revoke anybody. */
static void
denied_responders_do_not_count(void **state)
{
	static const int status[] = {GOOD, REVOKED};
	struct world *w = *state;
	struct cert *denied = pki_copy(w->responder);
	size_t i;

	for (i = 0; i < 2; i++) {
		struct trust *trust = new_trust(w->root);
		struct buf der = BUF_INIT(0);

		make(w, &(struct answer){ANSWER(status[i], BY_RESPONDER, -1, 1)}, &der);
		assert_int_equal(trust_add_ocsp(trust, der.data, der.len, NULL, NULL), RC_OK);
		assert_int_equal(trust_deny(trust, cert_sha256(denied), "stolen", NULL), RC_OK);
		expect("denied", trust, w->leaf, -1, REVOCATION_UNKNOWN, "is denied");
		buf_fini(&der);
		trust_unref(&trust);
	}
	cert_unref(&denied);
}

/* A list of the root with one entry. */
struct listed {
	const X509 *cert;
	unsigned char serial[64];
	int reason;
};

static void
put_entry(void *ctx, size_t i, struct list_entry *entry)
{
	struct listed *listed = ctx;
	const ASN1_INTEGER *serial = X509_get0_serialNumber(listed->cert);

	(void)i;
	entry->len = (size_t)ASN1_STRING_length(serial);
	memcpy(listed->serial, ASN1_STRING_get0_data(serial), entry->len);
	entry->serial = listed->serial;
	entry->reason = listed->reason ? listed->reason : LISTS_NONE;
}

static void
add_list(struct world *w, struct trust *trust, const X509 *listed, int reason, int from)
{
	struct listed ctx = {.cert = listed, .reason = reason};
	struct list_spec spec = {.issuer = w->root_x,
		.key = w->root_key,
		.from = now + from * DAY,
		.until = now + 5 * DAY,
		.n = listed != NULL,
		.entry = put_entry,
		.ctx = &ctx};
	struct buf der = BUF_INIT(0);

	list_make(&spec, &der);
	assert_int_equal(trust_add_crl(trust, der.data, der.len, NULL), RC_OK);
	buf_fini(&der);
}

static void
lists_and_answers_together(void **state)
{
	static const struct {
		const char *name;
		struct answer answer;
		bool listed;
		int reason, from;
		enum verdict_revocation want;
		const char *word;
	} cases[] = {
		{"both good", {ANSWER(GOOD, BY_CA, -1, 1)}, false, 0, -1, REVOCATION_GOOD, ""},
		{"list revokes", {ANSWER(GOOD, BY_CA, -1, 1)}, true, 0, -2, REVOCATION_REVOKED,
			"by the list"},
		{"answer revokes", {ANSWER(REVOKED, BY_CA, -3, 1)}, false, 0, -1,
			REVOCATION_REVOKED, "by the OCSP answer"},
		{"unknown to the responder", {ANSWER(UNKNOWN, BY_CA, -1, 1)}, false, 0, -1,
			REVOCATION_GOOD, ""},
		{"hold that the newer answer lifts", {ANSWER(GOOD, BY_CA, -1, 1)}, true, 6, -2,
			REVOCATION_GOOD, ""},
		{"hold that is newer", {ANSWER(GOOD, BY_CA, -2, 1)}, true, 6, -1,
			REVOCATION_REVOKED, "certificateHold"},
	};
	struct world *w = *state;
	struct trust *trust;
	struct buf der = BUF_INIT(0);
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		trust = new_trust(w->root);
		make(w, &cases[i].answer, &der);
		assert_int_equal(trust_add_ocsp(trust, der.data, der.len, NULL, NULL), RC_OK);
		add_list(w, trust, cases[i].listed ? w->leaf_x : NULL, cases[i].reason,
			cases[i].from);
		expect(cases[i].name, trust, w->leaf, -1, cases[i].want, cases[i].word);
		buf_clear(&der);
		trust_unref(&trust);
	}
	/* The responder's own certificate is on the list: its answer is worth nothing. */
	trust = new_trust(w->root);
	make(w, &(struct answer){ANSWER(REVOKED, BY_CHECKED, -1, 1)}, &der);
	assert_int_equal(trust_add_ocsp(trust, der.data, der.len, NULL, NULL), RC_OK);
	add_list(w, trust, w->nocheck_less, 0, -1);
	expect("revoked responder", trust, w->leaf, -1, REVOCATION_GOOD, "");
	trust_unref(&trust);
	buf_fini(&der);
}

static void
the_folder_is_looked_into(void **state)
{
	struct world *w = *state;
	struct trust *trust = new_trust(w->root);
	char dir[] = "/tmp/sealgate-ocsp-XXXXXX", name[OCSP_FILE_NAME_SIZE], other[sizeof(name)];
	struct buf der = BUF_INIT(0);
	char *path;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(trust_set_ocsp_dir(trust, dir, NULL), RC_OK);
	assert_int_equal(ocsp_file_name(w->leaf, w->root, name, NULL), RC_OK);
	assert_int_equal(ocsp_file_name(w->other, w->root, other, NULL), RC_OK);
	CHECK_INT("length", strlen(name), OCSP_FILE_NAME_SIZE - 1);
	assert_string_not_equal(name, other);
	expect("nothing there", trust, w->leaf, now, REVOCATION_UNKNOWN, "no CRL");
	make(w, &(struct answer){ANSWER(GOOD, BY_CA, -1, 1)}, &der);
	path = file_join(dir, name);
	assert_int_equal(file_write(path, der.data, der.len, 0600, NULL), RC_OK);
	expect("there", trust, w->leaf, now + 1, REVOCATION_GOOD, "");
	assert_int_equal(file_write(path, der.data, der.len - 1, 0600, NULL), RC_OK);
	expect("cut", trust, w->leaf, now + 2, REVOCATION_UNKNOWN, "cut off");
	/* Answers that are about somebody else don't get better by their name. */
	buf_clear(&der);
	make(w, &(struct answer){ANSWER(GOOD, BY_CA, -1, 1), .other = true}, &der);
	assert_int_equal(file_write(path, der.data, der.len, 0600, NULL), RC_OK);
	expect("other", trust, w->leaf, now + 3, REVOCATION_UNKNOWN, "no CRL");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	free(path);
	buf_fini(&der);
	trust_unref(&trust);
}

/* --- what a fetcher asks and gets --- */

static void
requests_are_understood(void **state)
{
	struct world *w = *state;
	unsigned char nonce[OCSP_NONCE_SIZE] = {1, 2, 3};
	struct buf plain = BUF_INIT(0), der = BUF_INIT(0);
	OCSP_CERTID *want = OCSP_cert_to_id(EVP_sha1(), w->leaf_x, w->root_x);
	const unsigned char *p;
	OCSP_REQUEST *request;
	struct err err = ERR_INIT;

	assert_int_equal(ocsp_request(w->leaf, w->root, &plain, &err), RC_OK);
	assert_int_equal(ocsp_request_add_nonce(plain.data, plain.len, nonce, &der, &err), RC_OK);
	p = (unsigned char *)der.data;
	request = d2i_OCSP_REQUEST(NULL, &p, (long)der.len);
	assert_non_null(request);
	CHECK_INT("requests", OCSP_request_onereq_count(request), 1);
	CHECK_INT("CertID",
		OCSP_id_cmp(want, OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0))), 0);
	assert_true(OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, -1) >= 0);
	CHECK_INT("not a request", ocsp_request_add_nonce("0\0", 2, nonce, &der, &err), RC_PERM);
	OCSP_REQUEST_free(request);
	OCSP_CERTID_free(want);
	buf_fini(&plain);
	buf_fini(&der);
}

static void
answers_fit_or_not(void **state)
{
	static const unsigned char right[OCSP_NONCE_SIZE] = {1, 2, 3}, wrong[OCSP_NONCE_SIZE] = {9};
	static const struct {
		const char *name;
		struct answer answer;
		enum ocsp_fit want;
		bool echoed;
	} cases[] = {
		{"nonce", {ANSWER(GOOD, BY_CA, -1, 1), .nonce = right}, OCSP_FITS, true},
		{"no nonce", {ANSWER(REVOKED, BY_CA, -1, 1)}, OCSP_FITS, false},
		{"another nonce", {ANSWER(GOOD, BY_CA, -1, 1), .nonce = wrong}, OCSP_REPLAYED,
			false},
		{"another certificate", {ANSWER(GOOD, BY_CA, -1, 1), .other = true}, OCSP_OTHER,
			false},
		{"old", {ANSWER(GOOD, BY_CA, -3, -1)}, OCSP_STALE, false},
		{"of the future", {ANSWER(GOOD, BY_CA, 1, 2)}, OCSP_STALE, false},
	};
	static const struct {
		unsigned char status;
		enum ocsp_fit want;
	} errors[] = {{1, OCSP_REFUSED}, {2, OCSP_LATER}, {3, OCSP_LATER}, {5, OCSP_REFUSED},
		{6, OCSP_REFUSED}, {77, OCSP_REFUSED}};
	struct world *w = *state;
	struct buf plain = BUF_INIT(0), request = BUF_INIT(0), der = BUF_INIT(0);
	struct ocsp_facts facts;
	size_t i;

	assert_int_equal(ocsp_request(w->leaf, w->root, &plain, NULL), RC_OK);
	assert_int_equal(
		ocsp_request_add_nonce(plain.data, plain.len, right, &request, NULL), RC_OK);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		buf_clear(&der);
		make(w, &cases[i].answer, &der);
		ocsp_response_fits(der.data, der.len, request.data, request.len, now, &facts);
		CHECK_STR(cases[i].name, ocsp_fit_name(facts.fit), ocsp_fit_name(cases[i].want));
		CHECK_INT(cases[i].name, facts.nonce_echoed, cases[i].echoed);
	}
	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		unsigned char bytes[] = {0x30, 3, 0x0a, 1, errors[i].status};

		ocsp_response_fits(bytes, sizeof(bytes), request.data, request.len, now, &facts);
		CHECK_STR(ocsp_status_name(errors[i].status), ocsp_fit_name(facts.fit),
			ocsp_fit_name(errors[i].want));
	}
	ocsp_response_fits("x", 1, request.data, request.len, now, &facts);
	CHECK_INT("garbage", facts.fit, OCSP_MALFORMED);
	buf_fini(&plain);
	buf_fini(&request);
	buf_fini(&der);
}

/* Flips bits and cuts: no harm, and never "good" but when the change was outside what is signed
 * and used. */
static void
mutations(void **state)
{
	struct world *w = *state;
	struct buf der = BUF_INIT(0);
	struct ocsp_response whole, response;
	const char *why;
	size_t i, tbs;

	make(w, &(struct answer){ANSWER(GOOD, BY_CA, -1, 1)}, &der);
	assert_true(ocsp_response_parse(der.data, der.len, &whole, &why));
	tbs = (size_t)((const char *)whole.tbs.p - der.data);
	for (i = 0; i < der.len; i++) {
		char *copy = exact(der.data, i);

		assert_false(ocsp_response_parse(copy, i, &response, &why));
		free(copy);
	}
	for (i = 0; i < 8 * der.len; i++) {
		struct trust *trust;
		struct verdict v;
		char *copy = exact(der.data, der.len);

		copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
		if (ocsp_response_parse(copy, der.len, &response, &why) && i / 8 >= tbs &&
			i / 8 < tbs + whole.tbs.len && i % 8 == 0) {
			trust = new_trust(w->root);
			verdict_init(&v);
			assert_int_equal(trust_add_ocsp(trust, copy, der.len, NULL, NULL), RC_OK);
			assert_int_equal(
				trust_check(trust, w->leaf, NULL, 0, NULL, -1, &v, NULL), RC_OK);
			if (v.revocation == REVOCATION_GOOD)
				fail_msg("good with byte %zu changed", i / 8);
			verdict_fini(&v);
			trust_unref(&trust);
		}
		free(copy);
	}
	buf_fini(&der);
}

/* --- OpenSSL's test responses --- */

static bool
decode(const char *file, struct buf *der)
{
	struct buf text = BUF_INIT(0);
	char path[200];
	unsigned char block[4096];
	BIO *bio;
	int n;

	snprintf(path, sizeof(path), "openssl-data/ocsp-tests/%s.ors", file);
	if (!pki_corpus(path, &text))
		return false;
	bio = BIO_push(BIO_new(BIO_f_base64()), BIO_new_mem_buf(text.data, (int)text.len));
	while ((n = BIO_read(bio, block, sizeof(block))) > 0)
		assert_int_equal(buf_append(der, block, (size_t)n, NULL), RC_OK);
	BIO_free_all(bio);
	buf_fini(&text);
	return true;
}

static struct cert *
corpus_cert(const char *prefix, const char *name)
{
	struct buf text = BUF_INIT(0);
	struct certset set = {0};
	struct cert *cert;
	char path[200];

	snprintf(path, sizeof(path), "openssl-data/ocsp-tests/%s%s.pem", prefix, name);
	assert_true(pki_corpus(path, &text));
	assert_int_equal(certset_parse(text.data, text.len, &set, NULL), RC_OK);
	cert = cert_ref(set.v[0]);
	certset_fini(&set);
	buf_fini(&text);
	return cert;
}

/* One response with one issuer; is it believed? */
static enum verdict_revocation
judge_vector(const char *response, const char *anchor, const char *leaf, int64_t at)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 1024};
	struct cert *issuer = corpus_cert(anchor, ""), *cert = corpus_cert(leaf, "");
	struct buf der = BUF_INIT(0);
	enum verdict_revocation found;
	struct trust *trust;
	struct verdict v;

	assert_true(decode(response, &der));
	assert_int_equal(trust_new(&options, &trust, NULL), RC_OK);
	assert_int_equal(trust_add_anchor(trust, issuer, NULL, 0, NULL), RC_OK);
	assert_int_equal(trust_add_ocsp(trust, der.data, der.len, response, NULL), RC_OK);
	verdict_init(&v);
	assert_int_equal(trust_check(trust, cert, NULL, 0, NULL, at, &v, NULL), RC_OK);
	/* Where the issuer is another one there is no path and nobody is asked. */
	found = v.path == PATH_VALID ? v.revocation : REVOCATION_UNKNOWN;
	verdict_fini(&v);
	trust_unref(&trust);
	cert_unref(&issuer);
	cert_unref(&cert);
	buf_fini(&der);
	return found;
}

static void
openssl_vectors(void **state)
{
	/* By what their makers say of them: a wrong signature, responder's name, issuer's name or
	 * key hash, responder's key, responder's signature; then wrong issuers. */
	static const char *const bad[] = {"ISOP_", "WRID_", "WINH_", "WIKH_"};
	static const char *const bad_delegated[] = {"WKDOSC_", "ISDOSC_"};
	static const char *const bad_issuer[] = {"WSNIC_", "WKIC_"};
	static const struct {
		const char *name, *issuer, *leaf;
		bool delegated;
	} table[] = {
		{"ND1", "ND1_Issuer_ICA", "ND1_Cert_EE", false},
		{"ND2", "ND2_Issuer_Root", "ND2_Cert_ICA", false},
		{"ND3", "ND3_Issuer_Root", "ND3_Cert_EE", false},
		{"D1", "D1_Issuer_ICA", "D1_Cert_EE", true},
		{"D2", "D2_Issuer_Root", "D2_Cert_ICA", true},
		{"D3", "D3_Issuer_Root", "D3_Cert_EE", true},
	};
	char name[64], issuer[64];
	struct buf der = BUF_INIT(0);
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct ocsp_response response;
		const char *why;
		int64_t at;

		buf_clear(&der);
		if (!decode(table[i].name, &der))
			skip();
		assert_true(ocsp_response_parse(der.data, der.len, &response, &why));
		at = response.produced + 60;
		CHECK_INT(table[i].name,
			judge_vector(table[i].name, table[i].issuer, table[i].leaf, at),
			REVOCATION_GOOD);
		for (k = 0; k < 4; k++) {
			snprintf(name, sizeof(name), "%s%s", bad[k], table[i].name);
			CHECK_INT(name, judge_vector(name, table[i].issuer, table[i].leaf, at),
				REVOCATION_UNKNOWN);
		}
		for (k = 0; k < 2 && table[i].delegated; k++) {
			snprintf(name, sizeof(name), "%s%s", bad_delegated[k], table[i].name);
			CHECK_INT(name, judge_vector(name, table[i].issuer, table[i].leaf, at),
				REVOCATION_UNKNOWN);
		}
		for (k = 0; k < 2; k++) {
			snprintf(issuer, sizeof(issuer), "%s%s", bad_issuer[k], table[i].issuer);
			CHECK_INT(issuer, judge_vector(table[i].name, issuer, table[i].leaf, at),
				REVOCATION_UNKNOWN);
		}
		/* The issuer is trusted as it is, whoever signed it. */
		snprintf(issuer, sizeof(issuer), "ISIC_%s", table[i].issuer);
		CHECK_INT(issuer, judge_vector(table[i].name, issuer, table[i].leaf, at),
			REVOCATION_GOOD);
	}
	buf_fini(&der);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(weak_responders_are_told),
		cmocka_unit_test(expired_certificates_may_be_forgotten),
		cmocka_unit_test(denied_responders_do_not_count),
		cmocka_unit_test(forged_answers_are_not_kept),
		cmocka_unit_test(lists_and_answers_together),
		cmocka_unit_test(the_folder_is_looked_into),
		cmocka_unit_test(requests_are_understood),
		cmocka_unit_test(answers_fit_or_not),
		cmocka_unit_test(mutations),
		cmocka_unit_test(openssl_vectors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
