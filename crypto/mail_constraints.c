/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/mail_constraints.h"

#include "crypto/name_text.h"
#include "crypto/openssl_glue.h"
#include "message/addr.h"

#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* One path under judgement. */
struct work {
	X509 *ca, *below;
	const NAME_CONSTRAINTS *constraints; /* of CA */
	bool unclear; /* what they exclude: nobody has a mailbox outside of it for certain */
	char *why;
	size_t why_size;
};

/* DOMAIN of a constraint as A-labels in lower case; false: it is none. */
static bool
canonical_domain(const char *text, size_t len, char out[ADDR_MAX + 1])
{
	char addr[ADDR_MAX];
	int n = snprintf(addr, sizeof(addr), "a@%.*s", (int)len, text);

	return len && len < 512 && n > 0 && (size_t)n < sizeof(addr) &&
	       addr_canonical(addr, (size_t)n, out, NULL) == RC_OK && addr_domain(out);
}

bool
mail_constraints_match(const char *addr, const char *base, size_t len, bool exact)
{
	char other[ADDR_MAX + 1];
	const char *domain = addr_domain(addr), *wanted;
	size_t n;

	if (!domain || !len || memchr(base, '\0', len))
		return false;
	if (memchr(base, '@', len))
		return addr_canonical(base, len, other, NULL) == RC_OK &&
		       (exact ? strcmp(addr, other) == 0 : addr_equal(addr, other));
	if (*base != '.')
		return canonical_domain(base, len, other) &&
		       strcasecmp(domain, addr_domain(other)) == 0;
	if (!canonical_domain(base + 1, len - 1, other))
		return false;
	wanted = addr_domain(other);
	n = strlen(domain);
	return n > strlen(wanted) + 1 && domain[n - strlen(wanted) - 1] == '.' &&
	       strcasecmp(domain + n - strlen(wanted), wanted) == 0;
}

/* A constraint that mail_constraints_match can hold an address against. */
static bool
is_readable(const char *base, size_t len)
{
	char other[ADDR_MAX + 1];

	if (!len || memchr(base, '\0', len))
		return false;
	if (memchr(base, '@', len))
		return addr_canonical(base, len, other, NULL) == RC_OK && addr_domain(other);
	return canonical_domain(*base == '.' ? base + 1 : base, len - (*base == '.'), other);
}

/* Is there a constraint for mail in TREES that leaves open whom it means? An empty one means
 * everybody, as browsers have it: a CA that may not speak for mail at all excludes it so. */
static bool
is_unclear(const STACK_OF(GENERAL_SUBTREE) * trees)
{
	int i;

	for (i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
		const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(trees, i)->base;

		if (base->type == GEN_EMAIL &&
			!is_readable((const char *)ASN1_STRING_get0_data(base->d.rfc822Name),
				(size_t)ASN1_STRING_length(base->d.rfc822Name)))
			return true;
	}
	return false;
}

/* Is ADDR (NULL: a name that is no address) in one of TREES? *ANY: there are constraints for mail.
 */
static bool
is_in(const STACK_OF(GENERAL_SUBTREE) * trees, const char *addr, bool exact, bool *any)
{
	int i;

	*any = false;
	for (i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
		const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(trees, i)->base;
		const ASN1_IA5STRING *text;

		if (base->type != GEN_EMAIL)
			continue;
		*any = true;
		text = base->d.rfc822Name;
		if (addr && mail_constraints_match(addr, (const char *)ASN1_STRING_get0_data(text),
				    (size_t)ASN1_STRING_length(text), exact))
			return true;
	}
	return false;
}

/* One name of the certificate below. */
static bool
judge_name(struct work *w, const ASN1_STRING *name)
{
	const char *text = (const char *)ASN1_STRING_get0_data(name);
	size_t len = (size_t)ASN1_STRING_length(name);
	char canonical[ADDR_MAX + 1], ca[NAME_TEXT_SIZE];
	const char *addr = !memchr(text, '\0', len) &&
					   addr_canonical(text, len, canonical, NULL) == RC_OK &&
					   addr_domain(canonical)
				   ? canonical
				   : NULL;
	bool any, inside = is_in(w->constraints->permittedSubtrees, addr, true, &any);
	const char *what = NULL;

	if (any && !inside)
		what = "it is in no permitted subtree";
	else if (is_in(w->constraints->excludedSubtrees, addr, false, &any))
		what = "it is in an excluded subtree";
	else if (any && !addr)
		what = "it cannot be read";
	else if (w->unclear)
		what = "it may be in an excluded subtree, which is empty or cannot be read,";
	if (what)
		(void)snprintf(w->why, w->why_size,
			"the CA %s may not speak for %.100s: %s of its name constraints",
			name_text_of(w->ca, ca), addr ? addr : "a name in a certificate", what);
	return !what;
}

static bool
judge_names(struct work *w)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(w->below, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(w->below); /* get0 */
	bool ok = true;
	int i;

	for (i = 0; ok && i < sk_GENERAL_NAME_num(names); i++) {
		const ASN1_STRING *text = ossl_mailbox_of(sk_GENERAL_NAME_value(names, i));

		ok = !text || judge_name(w, text);
	}
	for (i = -1;
		ok && (i = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, i)) >= 0;)
		ok = judge_name(w, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
	GENERAL_NAMES_free(names);
	return ok;
}

/* The constraints of chain[CA] over everything below it. */
static bool
judge_ca(struct work *w, X509 *const *chain, int ca, int *place)
{
	int i;

	w->ca = chain[ca];
	for (i = ca - 1; i >= 0; i--) {
		/* A CA's new key under its own name is not constrained, but a leaf always. */
		if (i && X509_get_extension_flags(chain[i]) & EXFLAG_SI)
			continue;
		w->below = chain[i];
		*place = i;
		if (!judge_names(w))
			return false;
	}
	return true;
}

static size_t
count_names(X509 *x509)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	int n = sk_GENERAL_NAME_num(names); /* -1: none */

	GENERAL_NAMES_free(names);
	return (size_t)(n < 0 ? 0 : n) +
	       (size_t)X509_NAME_entry_count(X509_get_subject_name(x509)) + 1;
}

size_t
mail_constraints_work(X509 *const *chain, int n)
{
	size_t work = 0, names;
	int i, k;

	for (i = n - 1; i > 0 && work <= MAIL_CONSTRAINTS_MAX_WORK; i--) {
		NAME_CONSTRAINTS *nc = X509_get_ext_d2i(chain[i], NID_name_constraints, NULL, NULL);
		int permitted = nc ? sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) : 0;
		int excluded = nc ? sk_GENERAL_SUBTREE_num(nc->excludedSubtrees) : 0;

		names = 0;
		for (k = 0; nc && k < i; k++)
			names += count_names(chain[k]);
		/* Names are taken out once for each CA with constraints, be they empty. */
		work += names * (size_t)(1 + (permitted < 0 ? 0 : permitted) +
					 (excluded < 0 ? 0 : excluded));
		NAME_CONSTRAINTS_free(nc);
	}
	ossl_clear();
	return work;
}

bool
mail_constraints_check(X509 *const *chain, int n, int *place, char *why, size_t why_size)
{
	struct work w = {.why = why, .why_size = why_size};
	bool ok = true;
	int i;

	for (i = n - 1; ok && i > 0; i--) {
		int critical;
		NAME_CONSTRAINTS *constraints =
			X509_get_ext_d2i(chain[i], NID_name_constraints, &critical, NULL);

		if (!constraints && critical != -1) { /* there, and not to be read, or twice */
			*place = i;
			(void)snprintf(why, why_size,
				"the name constraints of a CA on the path cannot be read");
			ok = false;
		}
		if (constraints) {
			w.constraints = constraints;
			w.unclear = is_unclear(constraints->excludedSubtrees);
			ok = judge_ca(&w, chain, i, place);
		}
		NAME_CONSTRAINTS_free(constraints);
	}
	ossl_clear();
	return ok;
}
