/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ocsp_response.h"

#include "crypto/serialset.h"

#define ENUMERATED 0x0a

const char *
ocsp_status_name(int status)
{
	static const char *const names[] = {"successful", "malformedRequest", "internalError",
		"tryLater", "(4)", "sigRequired", "unauthorized"};

	return status >= 0 && status <= 6 ? names[status] : "of an unknown status";
}

static bool
take_time(struct der *in, int64_t *at)
{
	struct der_item item;

	return der_take(in, DER_GENERALIZED_TIME, &item) && der_time(&item, at);
}

struct extension {
	enum oid oid;
	bool critical;
	struct der value;
};

static bool
extension_take(struct der *in, struct extension *out)
{
	struct der_item one, part;

	if (!der_take(in, DER_SEQUENCE, &one) || !der_take_oid(&one.body, &out->oid))
		return false;
	out->critical = false;
	if (der_take(&one.body, DER_BOOLEAN, &part)) {
		if (part.body.len != 1)
			return false;
		out->critical = part.body.p[0] != 0;
	}
	if (!der_take(&one.body, DER_OCTETS, &part) || !der_done(&one.body))
		return false;
	out->value = part.body;
	return true;
}

bool
ocsp_extensions_take(struct der in, struct der *nonce, bool *has_nonce, bool *unknown)
{
	struct der_item all;
	struct extension one;
	size_t n = 0;

	if (!der_take(&in, DER_SEQUENCE, &all) || !der_done(&in))
		return false;
	while (!der_done(&all.body)) {
		if (++n > OCSP_MAX_EXTENSIONS || !extension_take(&all.body, &one))
			return false;
		if (one.oid == OID_OCSP_NONCE && nonce) {
			*nonce = one.value;
			*has_nonce = true;
		} else if (one.critical && one.oid != OID_OCSP_EXTENDED_REVOKE) {
			*unknown = true;
		}
	}
	return true;
}

bool
ocsp_single_extensions_take(struct der in, int64_t *cutoff, bool *unknown)
{
	struct der_item all;
	struct extension one;
	size_t n = 0;

	if (!der_take(&in, DER_SEQUENCE, &all) || !der_done(&in))
		return false;
	while (!der_done(&all.body)) {
		if (++n > OCSP_MAX_EXTENSIONS || !extension_take(&all.body, &one))
			return false;
		if (one.oid == OID_OCSP_ARCHIVE_CUTOFF) {
			if (!take_time(&one.value, cutoff) || !der_done(&one.value))
				return false;
		} else if (one.critical && one.oid != OID_OCSP_EXTENDED_REVOKE) {
			*unknown = true;
		}
	}
	return true;
}

bool
ocsp_id_take(struct der *in, struct ocsp_id *id)
{
	struct der_item seq, name, key, serial;
	struct der params;
	enum oid oid;

	if (!der_take(in, DER_SEQUENCE, &seq) || !der_take_algorithm(&seq.body, &oid, &params) ||
		!der_take(&seq.body, DER_OCTETS, &name) || !der_take(&seq.body, DER_OCTETS, &key) ||
		!der_take(&seq.body, DER_INTEGER, &serial) || !der_done(&seq.body) ||
		serial.body.len == 0)
		return false;
	*id = (struct ocsp_id){.digest = oid_digest(oid),
		.name_hash = name.body,
		.key_hash = key.body,
		.serial = serial.body};
	serial_trim(&id->serial.p, &id->serial.len);
	return true;
}

bool
ocsp_id_equal(const struct ocsp_id *a, const struct ocsp_id *b)
{
	return a->digest != DIGEST_NONE && a->digest == b->digest &&
	       der_equal(&a->name_hash, &b->name_hash) && der_equal(&a->key_hash, &b->key_hash) &&
	       der_equal(&a->serial, &b->serial);
}

/* RevokedInfo */
static bool
take_revoked(struct der in, struct ocsp_single *single)
{
	struct der_item part, reason;

	single->answer = OCSP_REVOKED;
	if (!take_time(&in, &single->revoked))
		return false;
	if (der_take(&in, DER_CONTEXT_CONSTRUCTED, &part)) {
		if (!der_take(&part.body, ENUMERATED, &reason) || reason.body.len != 1 ||
			reason.body.p[0] > 10)
			return false;
		single->reason = reason.body.p[0];
	}
	return der_done(&in);
}

bool
ocsp_single_take(struct der *in, struct ocsp_single *single)
{
	struct der_item seq, part;

	*single = (struct ocsp_single){.reason = REASON_NONE, .next_update = -1, .cutoff = -1};
	if (!der_take(in, DER_SEQUENCE, &seq) || !ocsp_id_take(&seq.body, &single->id) ||
		!der_next(&seq.body, &part))
		return false;
	if (part.tag == DER_CONTEXT)
		single->answer = OCSP_GOOD;
	else if (part.tag == (DER_CONTEXT | 2))
		single->answer = OCSP_UNKNOWN;
	else if (part.tag != (DER_CONTEXT_CONSTRUCTED | 1) || !take_revoked(part.body, single))
		return false;
	if (!take_time(&seq.body, &single->this_update))
		return false;
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED, &part) &&
		(!take_time(&part.body, &single->next_update) || !der_done(&part.body)))
		return false;
	if (der_take(&seq.body, DER_CONTEXT_CONSTRUCTED | 1, &part) &&
		!ocsp_single_extensions_take(part.body, &single->cutoff, &single->unknown))
		return false;
	return der_done(&seq.body);
}

/* [1] a Name, [2] a SHA-1 of a key */
static bool
take_responder(struct der *in, struct ocsp_response *response)
{
	struct der_item part, inner;

	if (der_take(in, DER_CONTEXT_CONSTRUCTED | 1, &part)) {
		if (!der_take(&part.body, DER_SEQUENCE, &inner))
			return false;
		response->responder_name = inner.whole;
	} else if (der_take(in, DER_CONTEXT_CONSTRUCTED | 2, &part)) {
		if (!der_take(&part.body, DER_OCTETS, &inner))
			return false;
		response->responder_key = inner.body;
	} else {
		return false;
	}
	return der_done(&part.body);
}

/* ResponseData */
static bool
take_data(struct der in, struct ocsp_response *response, const char **why)
{
	struct der_item part;
	struct ocsp_single single;
	struct der singles;
	size_t n = 0;
	int version = 0;

	if (der_take(&in, DER_CONTEXT_CONSTRUCTED, &part) &&
		(!der_take_int(&part.body, &version) || version != 0)) {
		*why = "its version is unknown";
		return false;
	}
	*why = "it is malformed";
	if (!take_responder(&in, response) || !take_time(&in, &response->produced) ||
		!der_take(&in, DER_SEQUENCE, &part))
		return false;
	response->singles = singles = part.body;
	for (; !der_done(&singles); n++)
		if (n == OCSP_MAX_SINGLES || !ocsp_single_take(&singles, &single))
			return false;
	if (der_take(&in, DER_CONTEXT_CONSTRUCTED | 1, &part) &&
		!ocsp_extensions_take(
			part.body, &response->nonce, &response->has_nonce, &response->unknown))
		return false;
	return der_done(&in);
}

/* BasicOCSPResponse */
static bool
take_basic(struct der in, struct ocsp_response *response, const char **why)
{
	struct der_item basic, tbs, bits, part;

	if (!der_take(&in, DER_SEQUENCE, &basic) || !der_done(&in) ||
		!der_take(&basic.body, DER_SEQUENCE, &tbs) ||
		!der_take_algorithm(&basic.body, &response->algorithm, &response->params) ||
		!der_take(&basic.body, DER_BIT_STRING, &bits) || bits.body.len < 1 ||
		bits.body.p[0] != 0)
		return false;
	response->tbs = tbs.whole;
	response->signature = (struct der){bits.body.p + 1, bits.body.len - 1};
	if (der_take(&basic.body, DER_CONTEXT_CONSTRUCTED, &part)) {
		if (!der_take(&part.body, DER_SEQUENCE, &bits) || !der_done(&part.body))
			return false;
		response->certs = bits.body;
	}
	return der_done(&basic.body) && take_data(tbs.body, response, why);
}

bool
ocsp_response_parse(const void *data, size_t len, struct ocsp_response *response, const char **why)
{
	struct der in = {data, len};
	struct der_item seq, status, part, bytes;
	enum oid oid;

	*response = (struct ocsp_response){0};
	*why = "it is no OCSP response, or cut off";
	if (!der_take(&in, DER_SEQUENCE, &seq) || !der_done(&in) ||
		!der_take(&seq.body, ENUMERATED, &status) || status.body.len != 1)
		return false;
	response->status = status.body.p[0];
	if (response->status != OCSP_SUCCESSFUL)
		return true;
	if (!der_take(&seq.body, DER_CONTEXT_CONSTRUCTED, &part) || !der_done(&seq.body) ||
		!der_take(&part.body, DER_SEQUENCE, &bytes) || !der_done(&part.body) ||
		!der_take_oid(&bytes.body, &oid) || !der_take(&bytes.body, DER_OCTETS, &part) ||
		!der_done(&bytes.body))
		return false;
	*why = "it is of a type that is not known here";
	if (oid != OID_OCSP_BASIC)
		return false;
	*why = "it is malformed";
	return take_basic(part.body, response, why);
}
