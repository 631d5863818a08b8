/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/profile.h"

#include <stdlib.h>
#include <string.h>

#define EMAIL_PROTECTION "1.3.6.1.5.5.7.3.4"
#define DEFAULT_BACKDATE 300
#define DEFAULT_DAYS     730

static const struct {
	const char *word;
	const char *oid;
} ekus[] = {{"emailProtection", EMAIL_PROTECTION}, {"clientAuth", "1.3.6.1.5.5.7.3.2"},
	{"smartcardLogon", "1.3.6.1.4.1.311.20.2.2"}, {"documentSigning", "1.3.6.1.5.5.7.3.36"}};

static const struct {
	const char *word;
	unsigned bit;
} usages[] = {{"digitalSignature", ISSUE_KU_SIGNATURE},
	{"nonRepudiation", ISSUE_KU_NON_REPUDIATION},
	{"keyEncipherment", ISSUE_KU_KEY_ENCIPHERMENT},
	{"dataEncipherment", ISSUE_KU_DATA_ENCIPHERMENT}, {"keyAgreement", ISSUE_KU_KEY_AGREEMENT}};

struct compile {
	struct conf *conf;
	const struct conf_group *group;
	struct profile *profile;
	struct err *err;
};

static enum rc
take_purpose(struct compile *c)
{
	const char *word = conf_str(c->group, "purpose");

	c->profile->separate = strcmp(word, "separate") == 0;
	c->profile->purpose = PURPOSE_BOTH;
	if (!c->profile->separate)
		(void)key_purpose_find(word, &c->profile->purpose);
	return RC_OK;
}

/* A template: only %n %a %l %d %o and %% are known. */
static bool
template_is_good(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
		if (*text == '%' && !strchr("naldo%", *++text))
			return false;
		if (!*text)
			return false;
	}
	return true;
}

/* "CN=%n" */
static enum rc
take_subject(struct compile *c)
{
	const char *const *v;
	size_t n = conf_strings(c->group, "subject", &v);

	for (size_t i = 0; i < n; i++) {
		const char *equals = strchr(v[i], '=');
		struct issue_attr *attr = &c->profile->subject[c->profile->n_subject];
		char *type;

		if (!equals || !equals[1])
			return conf_err(c->err, c->conf, c->group, "subject",
				"\"%.60s\" is not TYPE=VALUE", v[i]);
		type = strndup(v[i], (size_t)(equals - v[i]));
		if (!type)
			return err_set(c->err, ERR_MEMORY, "profile");
		attr->type = type; /* freed by profiles_fini */
		attr->text = equals + 1;
		c->profile->n_subject++;
		if (!issue_attr_max(type))
			return conf_err(c->err, c->conf, c->group, "subject",
				"no attribute \"%.60s\" in a subject", type);
		if (!template_is_good(attr->text))
			return conf_err(c->err, c->conf, c->group, "subject",
				"\"%.60s\": only %%n %%a %%l %%d %%o and %%%% are known", v[i]);
		if (strcmp(type, "C") == 0 &&
			(strlen(attr->text) != 2 ||
				strspn(attr->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
			return conf_err(c->err, c->conf, c->group, "subject",
				"C is a country's two capital letters (ISO 3166)");
	}
	return RC_OK;
}

static enum rc
take_key_usage(struct compile *c)
{
	const unsigned opens =
		ISSUE_KU_KEY_ENCIPHERMENT | ISSUE_KU_DATA_ENCIPHERMENT | ISSUE_KU_KEY_AGREEMENT;
	const unsigned signs = ISSUE_KU_SIGNATURE | ISSUE_KU_NON_REPUDIATION;
	struct profile *p = c->profile;
	const char *const *v;
	size_t n = conf_strings(c->group, "key_usage", &v);
	bool rsa = strncmp(p->type, "rsa", 3) == 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof(usages) / sizeof(*usages); k++)
			if (strcmp(v[i], usages[k].word) == 0)
				p->key_usage |= usages[k].bit;
	if (!p->key_usage)
		return RC_OK;
	if (p->purpose & PURPOSE_SIGN && !(p->key_usage & signs))
		return conf_err(c->err, c->conf, c->group, "key_usage",
			"a key that signs needs digitalSignature or nonRepudiation");
	if (p->purpose == PURPOSE_SIGN && p->key_usage & opens)
		return conf_err(c->err, c->conf, c->group, "key_usage",
			"a key that only signs must not have keyEncipherment, dataEncipherment or "
			"keyAgreement");
	if (p->purpose == PURPOSE_OPEN && p->key_usage & signs)
		return conf_err(c->err, c->conf, c->group, "key_usage",
			"a key that only opens must not have digitalSignature or nonRepudiation");
	if (p->purpose & PURPOSE_OPEN && rsa && !(p->key_usage & ISSUE_KU_KEY_ENCIPHERMENT))
		return conf_err(c->err, c->conf, c->group, "key_usage",
			"an RSA key that opens needs keyEncipherment");
	if (p->purpose & PURPOSE_OPEN && !rsa && !(p->key_usage & ISSUE_KU_KEY_AGREEMENT))
		return conf_err(c->err, c->conf, c->group, "key_usage",
			"a key on a curve that opens needs keyAgreement");
	if (rsa ? p->key_usage & ISSUE_KU_KEY_AGREEMENT
		: p->key_usage & (ISSUE_KU_KEY_ENCIPHERMENT | ISSUE_KU_DATA_ENCIPHERMENT))
		return conf_err(c->err, c->conf, c->group, "key_usage", "%s",
			rsa ? "keyAgreement is not for RSA"
			    : "keyEncipherment and dataEncipherment are for RSA");
	return RC_OK;
}

static enum rc
take_eku(struct compile *c)
{
	const char *const *v;
	size_t n = conf_strings(c->group, "extended_key_usage", &v);
	bool mail = n == 0;

	for (size_t i = 0; i < n; i++) {
		const char *oid = issue_is_oid(v[i]) ? v[i] : NULL;

		for (size_t k = 0; !oid && k < sizeof(ekus) / sizeof(*ekus); k++)
			if (strcmp(v[i], ekus[k].word) == 0)
				oid = ekus[k].oid;
		if (!oid)
			return conf_err(c->err, c->conf, c->group, "extended_key_usage",
				"\"%.60s\" is neither a known word nor an object identifier", v[i]);
		for (size_t k = 0; k < c->profile->n_eku; k++)
			if (strcmp(c->profile->eku[k], oid) == 0)
				return conf_err(c->err, c->conf, c->group, "extended_key_usage",
					"\"%.60s\" is there twice", v[i]);
		c->profile->eku[c->profile->n_eku++] = oid;
		mail |= strcmp(oid, EMAIL_PROTECTION) == 0;
	}
	return mail ? RC_OK
		    : conf_err(c->err, c->conf, c->group, "extended_key_usage",
			      "emailProtection is missing: mail programs would refuse the "
			      "certificate (RFC 8550)");
}

static bool
has_scheme(const char *url, const char *schemes)
{
	const char *colon = strstr(url, "://");
	size_t len = colon ? (size_t)(colon - url) : 0;

	for (const char *p = schemes; len && p; p = strchr(p, ' ')) {
		p += *p == ' ';
		if (strncmp(p, url, len) == 0 && (p[len] == ' ' || !p[len]))
			return true;
	}
	return false;
}

/* A URL that may stand in a certificate: ASCII without blanks. */
static enum rc
check_url(struct compile *c, const char *option, const char *url, const char *schemes)
{
	if (!has_scheme(url, schemes))
		return conf_err(c->err, c->conf, c->group, option, "\"%.100s\": a URL with %s", url,
			schemes);
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p > '~')
			return conf_err(c->err, c->conf, c->group, option,
				"\"%.100s\": a URL has no blanks and only ASCII", url);
	return RC_OK;
}

static enum rc
take_urls(struct compile *c, const char *option, const char *schemes, const char *const **urls,
	size_t *n)
{
	enum rc rc = RC_OK;

	*n = conf_strings(c->group, option, urls);
	for (size_t i = 0; !rc && i < *n; i++)
		rc = check_url(c, option, (*urls)[i], schemes);
	return rc;
}

/* "1.2.3.4 https://…" */
static enum rc
take_policies(struct compile *c)
{
	const char *const *v;
	size_t n = conf_strings(c->group, "policies", &v);

	for (size_t i = 0; i < n; i++) {
		struct issue_policy *policy = &c->profile->policies[c->profile->n_policies];
		char *text = strdup(v[i]), *blank;
		enum rc rc;

		if (!text)
			return err_set(c->err, ERR_MEMORY, "profile");
		policy->oid = text; /* freed by profiles_fini */
		c->profile->n_policies++;
		blank = strchr(text, ' ');
		if (blank) {
			*blank = 0;
			policy->cps = blank + 1 + strspn(blank + 1, " ");
			rc = check_url(c, "policies", policy->cps, "http https");
			if (rc)
				return rc;
		}
		if (!issue_is_oid(text))
			return conf_err(c->err, c->conf, c->group, "policies",
				"\"%.60s\" is no object identifier", text);
	}
	return RC_OK;
}

static enum rc
take_hash(struct compile *c)
{
	static const struct {
		const char *word;
		enum digest digest;
	} hashes[] = {{"auto", DIGEST_NONE}, {"sha256", DIGEST_SHA256}, {"sha384", DIGEST_SHA384},
		{"sha512", DIGEST_SHA512}};
	const char *word = conf_str(c->group, "hash");

	for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++)
		if (strcmp(word, hashes[i].word) == 0)
			c->profile->digest = hashes[i].digest;
	return RC_OK;
}

static enum rc
take_kinds(struct compile *c, const struct profiles *before)
{
	const char *const *v;
	size_t n = conf_strings(c->group, "kind", &v);
	enum person_kind kind;

	for (size_t i = 0; i < n; i++)
		if (person_kind_find(v[i], &kind))
			c->profile->kinds |= 1u << kind;
	for (size_t i = 0; i < before->n; i++) {
		if (strcmp(before->v[i].name, c->profile->name) == 0)
			return conf_err(c->err, c->conf, c->group, "name",
				"profile \"%s\" is there twice", c->profile->name);
		if (before->v[i].kinds & c->profile->kinds)
			return conf_err(c->err, c->conf, c->group, "kind",
				"profile \"%s\" is for the same kind already", before->v[i].name);
	}
	if (strcmp(c->profile->name, "default") == 0)
		return conf_err(c->err, c->conf, c->group, "name",
			"\"default\" is the one that goes without saying");
	return RC_OK;
}

static enum rc
compile_one(struct conf *conf, const struct conf_group *group, const struct profiles *before,
	struct profile *p, struct err *err)
{
	struct compile c = {conf, group, p, err};
	enum rc rc;

	p->name = conf_str(group, "name");
	p->type = conf_str(group, "type");
	p->days = conf_int(group, "days");
	p->backdate = conf_int(group, "backdate");
	p->all_names = strcmp(conf_str(group, "names"), "all") == 0;
	rc = take_kinds(&c, before);
	if (!rc)
		rc = take_purpose(&c);
	if (!rc)
		rc = take_subject(&c);
	if (!rc)
		rc = take_key_usage(&c);
	if (!rc)
		rc = take_eku(&c);
	if (!rc)
		rc = take_policies(&c);
	if (!rc)
		rc = take_hash(&c);
	if (!rc)
		rc = take_urls(&c, "crl_urls", "http ldap", &p->crl_urls, &p->n_crl_urls);
	if (!rc)
		rc = take_urls(&c, "ca_urls", "http ldap", &p->ca_urls, &p->n_ca_urls);
	return rc ? rc : take_urls(&c, "ocsp_urls", "http", &p->ocsp_urls, &p->n_ocsp_urls);
}

enum rc
profiles_compile(struct conf *conf, struct profiles *out, struct err *err)
{
	size_t n = conf_count(conf, "profiles");
	enum rc rc = RC_OK;

	*out = (struct profiles){.otherwise = {.name = "default",
					 .type = "rsa2048",
					 .days = DEFAULT_DAYS,
					 .backdate = DEFAULT_BACKDATE,
					 .purpose = PURPOSE_BOTH}};
	out->v = calloc(n + 1, sizeof(*out->v));
	if (!out->v)
		return err_set(err, ERR_MEMORY, "profiles");
	for (size_t i = 0; !rc && i < n; i++) {
		struct profiles before = *out;

		rc = compile_one(conf, conf_item(conf, "profiles", i), &before, &out->v[i], err);
		out->n++; /* also what is half done has to be freed */
	}
	if (rc)
		profiles_fini(out);
	return rc;
}

void
profiles_fini(struct profiles *profiles)
{
	for (size_t i = 0; i < profiles->n; i++) {
		struct profile *p = &profiles->v[i];

		for (size_t k = 0; k < p->n_subject; k++)
			free((char *)p->subject[k].type);
		for (size_t k = 0; k < p->n_policies; k++)
			free((char *)p->policies[k].oid);
	}
	free(profiles->v);
	profiles->v = NULL;
	profiles->n = 0;
}

const struct profile *
profiles_find(const struct profiles *profiles, const char *name, enum person_kind kind)
{
	if (name && strcmp(name, profiles->otherwise.name) == 0)
		return &profiles->otherwise;
	for (size_t i = 0; i < profiles->n; i++)
		if (name ? strcmp(profiles->v[i].name, name) == 0
			 : (profiles->v[i].kinds & 1u << kind) != 0)
			return &profiles->v[i];
	return name ? NULL : &profiles->otherwise;
}

/* --- for one certificate --- */

/* TEMPLATE with what is known about the person. */
static enum rc
expand(const char *template, const struct profile_facts *facts, struct buf *out, struct err *err)
{
	const char *at = strrchr(facts->addr, '@');
	enum rc rc = RC_OK;

	for (const char *p = template; !rc && *p; p++) {
		const char *text = facts->addr;

		if (*p != '%' || *++p == '%') {
			rc = buf_append_char(out, *p, err);
			continue;
		}
		if (*p == 'n')
			text = facts->name ? facts->name : facts->addr;
		else if (*p == 'd')
			text = at ? at + 1 : "";
		else if (*p == 'o')
			text = facts->organisation ? facts->organisation : "";
		rc = buf_append(out, text,
			*p == 'l' && at ? (size_t)(at - facts->addr) : strlen(text), err);
	}
	return rc;
}

/* Characters, not bytes. */
static size_t
count_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* One attribute; what comes out empty is left out, and so is a common name that is too long (the
 * address stands in subjectAltName anyway). */
static enum rc
make_attr(const struct issue_attr *template, const struct profile_facts *facts,
	struct profile_made *made, struct err *err)
{
	struct buf text = BUF_INIT(4096);
	size_t max = (size_t)issue_attr_max(template->type), n = made->extra.n_subject;
	enum rc rc = expand(template->text, facts, &text, err);

	/* IA5String, which an internationalised address is not. */
	if (!rc &&
		(strcmp(template->type, "emailAddress") == 0 ||
			strcmp(template->type, "DC") == 0) &&
		count_characters(buf_text(&text)) != text.len)
		buf_clear(&text);
	if (!rc && count_characters(buf_text(&text)) > max) {
		if (strcmp(template->type, "CN") != 0)
			rc = err_set(err, ERR_USAGE, "%s=%.80s…: %zu characters are the most",
				template->type, buf_text(&text), max);
		buf_clear(&text);
	}
	if (!rc && text.len) {
		made->texts[n] = strdup(buf_text(&text));
		if (!made->texts[n])
			rc = err_set(err, ERR_MEMORY, "subject");
		made->subject[n] = (struct issue_attr){template->type, made->texts[n]};
		made->extra.n_subject += !rc;
	}
	buf_fini(&text);
	return rc;
}

/* URLs with {ca} replaced. */
static enum rc
make_urls(const char *const *templates, size_t n, const char *ca, char **out, struct err *err)
{
	static const char mark[] = "{ca}";
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		struct buf text = BUF_INIT(4096);
		const char *p = templates[i], *next;

		for (; !rc && (next = strstr(p, mark)); p = next + strlen(mark)) {
			rc = buf_append(&text, p, (size_t)(next - p), err);
			if (!rc)
				rc = buf_append_str(&text, ca, err);
		}
		if (!rc)
			rc = buf_append_str(&text, p, err);
		out[i] = rc ? NULL : strdup(buf_text(&text));
		if (!rc && !out[i])
			rc = err_set(err, ERR_MEMORY, "URL");
		buf_fini(&text);
	}
	return rc;
}

enum rc
profile_make(const struct profile *profile, const struct profile_facts *facts,
	struct profile_made *made, struct err *err)
{
	enum rc rc = RC_OK;

	*made = (struct profile_made){.extra = {
					      .key_usage = profile->key_usage,
					      .eku = profile->eku,
					      .n_eku = profile->n_eku,
					      .policies = profile->policies,
					      .n_policies = profile->n_policies,
					      .digest = profile->digest,
					      .n_crl_urls = profile->n_crl_urls,
					      .n_ca_urls = profile->n_ca_urls,
					      .n_ocsp_urls = profile->n_ocsp_urls,
				      }};
	made->extra.subject = made->subject;
	made->extra.crl_urls = (const char *const *)made->urls[0];
	made->extra.ca_urls = (const char *const *)made->urls[1];
	made->extra.ocsp_urls = (const char *const *)made->urls[2];
	if (profile->all_names) {
		made->extra.addrs = facts->addrs;
		made->extra.n_addrs = facts->n_addrs;
	}
	for (size_t i = 0; !rc && i < profile->n_subject; i++)
		rc = make_attr(&profile->subject[i], facts, made, err);
	if (!rc)
		rc = make_urls(
			profile->crl_urls, profile->n_crl_urls, facts->ca, made->urls[0], err);
	if (!rc)
		rc = make_urls(profile->ca_urls, profile->n_ca_urls, facts->ca, made->urls[1], err);
	if (!rc)
		rc = make_urls(
			profile->ocsp_urls, profile->n_ocsp_urls, facts->ca, made->urls[2], err);
	return rc;
}

void
profile_made_fini(struct profile_made *made)
{
	for (size_t i = 0; i < PROFILE_MAX_ATTRS; i++)
		free(made->texts[i]);
	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < PROFILE_MAX_URLS; i++)
			free(made->urls[k][i]);
	*made = (struct profile_made){0};
}
