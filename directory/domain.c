/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domain.c - domain and gateway certificates: one for everybody of a partner's domain
 *
 * The partner's gateway opens the mail. Such a certificate is used only for the domains that stand
 * beside it in the configuration, it has to carry the name that is configured, and its path is
 * validated like a person's. It comes from a file, from the local store by its fingerprint, or is
 * looked up in store and directories by the gateway's address (so that a renewal is found).
 *
 * Somebody meant it to be there. So it is trouble, never "none", when the store does not have the
 * fingerprint, nobody knows the gateway's address, or no certificate that was found can be used.
 * The first defers as a source that cannot be asked does, the others where nobody has a better one.
 *
 * RFC 3183 section 3.1: domain-confidentiality-authority@domain, where the domain may be an
 * ancestor of the recipient's; here it is the one of the configuration's entry.
 */
#include "config.h"

#include "directory/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "message/addr.h"

#define FILE_MAX  (16u << 20)
#define AUTHORITY "domain-confidentiality-authority@"

enum domain_match { MATCH_RFC3183, MATCH_MAILBOX, MATCH_DNS };

struct domain_source {
	enum domain_match match;
	enum tier tier;
	char mailbox[ADDR_MAX + 1]; /* canonical, for MATCH_MAILBOX */
	char *fingerprint;          /* owned, or NULL */
	struct certset file;        /* what the file holds */
	bool from_file;
	char **domains; /* borrowed from the source, which lives longer */
	size_t n_domains;
	struct certstore *store;  /* borrowed */
	struct source **personal; /* owned list of borrowed ones */
	size_t n_personal;
	struct trust *trust; /* reference */
};

static void
domain_free(void *ctx)
{
	struct domain_source *d = ctx;

	if (!d)
		return;
	certset_fini(&d->file);
	trust_unref(&d->trust);
	free(d->fingerprint);
	free(d->personal);
	free(d);
}

/* The configured domain that covers ADDR, without the dot of ".domain". */
static const char *
entry_of(const struct domain_source *d, const char *addr)
{
	const char *domain = addr_domain(addr);

	for (size_t i = 0; domain && i < d->n_domains; i++) {
		const char *entry = d->domains[i];

		if (addr_domain_in(domain, &entry, 1))
			return entry + (entry[0] == '.');
	}
	return "";
}

/* Under which address it is looked up and its path judged. */
static enum rc
name_for(const struct domain_source *d, const char *entry, char name[ADDR_MAX + 1], struct err *err)
{
	int len = d->match == MATCH_MAILBOX ? snprintf(name, ADDR_MAX + 1, "%s", d->mailbox)
					    : snprintf(name, ADDR_MAX + 1, AUTHORITY "%s", entry);

	return len <= ADDR_MAX ? RC_OK : err_set(err, ERR_CONFIG, "%s: too long a domain", entry);
}

/* Some make themselves one that is its own CA: alone in the file it can't be meant otherwise. */
static bool
is_leaf(const struct domain_source *d, const struct cert *cert)
{
	return d->file.n == 1 || !cert_is_ca(cert);
}

/* The file's certificates: leaves are candidates, CAs help to build their paths. */
static enum rc
take_file(const struct domain_source *d, struct answer *answer, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < d->file.n; i++)
		rc = is_leaf(d, d->file.v[i])
			     ? answer_add(answer, d->file.v[i], "file", d->tier, true, err)
			     : certset_add(&answer->extra, d->file.v[i], err);
	return rc;
}

static enum rc
take_stored(const struct domain_source *d, struct answer *answer, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_by_fingerprint(d->store, d->fingerprint, &rows, &n, err);

	if (rc == RC_NONE)
		rc = err_set(err, ERR_DIR_UNAVAILABLE,
			"%.16s is not in the local store; add it (sealgate cert add) or change the "
			"configuration",
			d->fingerprint);
	if (rc == RC_OK)
		rc = answer_add(answer, rows[0].cert, "store", d->tier, true, err);
	certrows_free(&rows, n);
	return rc;
}

/* Selects among what there is for the gateway, by its own name. */
static enum rc
select_gateway(const struct domain_source *d, const char *name, const char *dns,
	struct lookup_result *result, struct err *err)
{
	struct selection selection;
	struct answer answer = {0};
	enum rc rc = RC_OK;

	selection_init(&selection, d->trust, name);
	selection.dns = dns;
	if (!d->from_file && !d->fingerprint) {
		selection_ask(&selection, d->personal, d->n_personal);
	} else {
		rc = d->from_file ? take_file(d, &answer, err) : take_stored(d, &answer, err);
		if (rc == RC_OK)
			rc = selection_add(&selection, &answer, err);
	}
	if (rc == RC_OK)
		selection_finish(&selection, result);
	answer_fini(&answer);
	selection_fini(&selection);
	return rc;
}

/* One that was selected, or not, as a candidate for the person: it says whose it is. */
static enum rc
offer(const struct domain_source *d, const struct candidate *found, const char *entry,
	const char *name, struct answer *answer, struct err *err)
{
	struct candidate c = *found;
	char source[2 * ADDR_MAX + 100];

	snprintf(source, sizeof(source), "domain_certificates for %s as %s by %s", entry, name,
		found->source);
	c.source = source;
	c.tier = d->tier;
	c.proven = true; /* an administrator's word */
	c.judged = true;
	c.used = false;
	c.entry = c.rank = 0;
	return answer_take(answer, &c, err);
}

/* Nothing of it can be used: which certificate, since when, and what to do. */
static void
blame(const struct domain_source *d, const struct lookup_result *result, const char *entry,
	const char *name, struct answer *answer)
{
	const char *what = d->from_file     ? "put a new one into the file and reload"
			   : d->fingerprint ? "add a new one to the store and name it"
					    : "add one to the store (sealgate cert add)";

	if (result->n == 0)
		err_set(&answer->named, ERR_CERT_NAMED,
			"domain_certificates for %s: nobody has a certificate of %s; %s, or take the "
			"entry out",
			entry, name, what);
	else
		err_set(&answer->named, ERR_CERT_NAMED,
			"domain_certificates for %s: %.16s as %s by %s cannot be used: %s; %s, or take "
			"the entry out",
			entry, cert_fingerprint(result->v[0].cert), name, result->v[0].source,
			result->v[0].why, what);
}

static enum rc
domain_find(void *ctx, const char *addr, struct answer *answer, struct err *err)
{
	const struct domain_source *d = ctx;
	const char *entry = entry_of(d, addr);
	struct lookup_result result = {0};
	char name[ADDR_MAX + 1];
	bool dns = d->match == MATCH_DNS;
	enum rc rc = name_for(d, entry, name, err);

	if (rc == RC_OK && !dns && addr_equal(name, addr))
		return RC_NONE; /* mail to the gateway itself: it is a person here */
	if (rc == RC_OK)
		rc = select_gateway(d, name, dns ? entry : NULL, &result, err);
	if (rc == RC_OK && result.rc != RC_OK &&
		(result.rc == RC_NONE || result.err.code == ERR_CERT_NAMED))
		blame(d, &result, entry, dns ? entry : name, answer);
	else if (rc == RC_OK && result.rc == RC_TEMP) {
		if (err)
			*err = result.err;
		rc = RC_TEMP;
	}
	for (size_t i = 0; rc == RC_OK && i < result.n; i++)
		rc = offer(d, &result.v[i], entry, dns ? entry : name, answer, err);
	candidates_free(&result.v, result.n);
	if (rc != RC_OK) {
		(void)err_prefix(err, "domain_certificates for %s", entry);
		return rc;
	}
	return answer->n ? RC_OK : RC_NONE;
}

/* The file, at the start and at each reload. */
static enum rc
load_file(struct domain_source *d, const struct conf *conf, const struct conf_group *item,
	struct err *err)
{
	const char *path = conf_str(item, "file");
	struct buf file = BUF_INIT(FILE_MAX);
	struct err why = ERR_INIT;
	bool leaf = false;
	enum rc rc;

	if (!path)
		return RC_OK;
	d->from_file = true;
	rc = file_read(path, &file, &why);
	if (rc == RC_NONE)
		rc = conf_err(err, conf, item, "file", "%s is not there", path);
	else if (rc != RC_OK)
		rc = conf_err(err, conf, item, "file", "%s", why.detail);
	else if (certset_parse(buf_text(&file), file.len, &d->file, &why) != RC_OK)
		rc = conf_err(err, conf, item, "file", "%s: %s", path, why.detail);
	for (size_t i = 0; i < d->file.n; i++)
		leaf |= is_leaf(d, d->file.v[i]);
	if (rc == RC_OK && !leaf)
		rc = conf_err(err, conf, item, "file", "%s holds only certificates of CAs", path);
	buf_fini(&file);
	return rc;
}

/* The rest of an item; what makes no sense together is refused. */
static enum rc
read_item(struct domain_source *d, const struct conf *conf, const struct conf_group *item,
	struct err *err)
{
	const char *match = conf_str(item, "match"), *mailbox = conf_str(item, "mailbox"),
		   *fingerprint = conf_str(item, "fingerprint");

	d->match = strcmp(match, "mailbox") == 0 ? MATCH_MAILBOX
		   : strcmp(match, "dns") == 0   ? MATCH_DNS
						 : MATCH_RFC3183;
	d->tier = conf_bool(item, "before_personal") ? TIER_DOMAIN_FIRST : TIER_DOMAIN;
	if ((d->match == MATCH_MAILBOX) != (mailbox != NULL))
		return conf_err(err, conf, item, "mailbox", "is there for match = mailbox");
	if (mailbox && (addr_canonical(mailbox, strlen(mailbox), d->mailbox, NULL) != RC_OK ||
			       !addr_domain(d->mailbox)))
		return conf_err(err, conf, item, "mailbox", "%s is no mail address", mailbox);
	if (conf_str(item, "file") && fingerprint)
		return conf_err(err, conf, item, "fingerprint", "file or fingerprint, not both");
	if (d->match == MATCH_DNS && !conf_str(item, "file") && !fingerprint)
		return conf_err(err, conf, item, "match",
			"dns needs file or fingerprint: nobody can be asked for a dNSName");
	if (fingerprint && strspn(fingerprint, "0123456789abcdefABCDEF") != 64)
		return conf_err(err, conf, item, "fingerprint", "64 hex digits");
	if (fingerprint && !(d->fingerprint = strdup(fingerprint)))
		return err_set(err, ERR_MEMORY, "domain_certificates");
	return load_file(d, conf, item, err);
}

static enum rc
copy_domains(struct source *source, const struct conf *conf, const struct conf_group *item,
	struct err *err)
{
	const char *const *domains = NULL;
	size_t n = conf_strings(item, "domains", &domains);

	source->domains = calloc(n ? n : 1, sizeof(*source->domains));
	for (size_t i = 0; source->domains && i < n; i++) {
		const char *domain = domains[i] + (domains[i][0] == '.');

		if (!*domain || strpbrk(domain, "@ \t"))
			return conf_err(
				err, conf, item, "domains", "%s is no mail domain", domains[i]);
		if (!(source->domains[i] = strdup(domains[i])))
			break;
		source->n_domains = i + 1;
	}
	if (source->n_domains < n)
		return err_set(err, ERR_MEMORY, "domain_certificates");
	return RC_OK;
}

static enum rc
source_domain_new(const struct conf *conf, const struct conf_group *item, struct source **out,
	struct err *err)
{
	struct source *source = calloc(1, sizeof(*source));
	struct domain_source *d = calloc(1, sizeof(*d));
	enum rc rc;

	*out = NULL;
	if (!source || !d || !(source->name = strdup("domain_certificates"))) {
		free(source);
		free(d);
		return err_set(err, ERR_MEMORY, "domain_certificates");
	}
	source->find = domain_find;
	source->free = domain_free;
	source->ctx = d;
	rc = copy_domains(source, conf, item, err);
	if (rc == RC_OK)
		rc = read_item(d, conf, item, err);
	if (rc != RC_OK) {
		source_free(&source);
		return rc;
	}
	source->tier = d->tier;
	d->domains = source->domains;
	d->n_domains = source->n_domains;
	*out = source;
	return RC_OK;
}

enum rc
domain_sources(const struct conf *conf, struct certstore *store, struct trust *trust,
	struct source **personal, size_t n_personal, struct source **sources, size_t *n,
	struct err *err)
{
	size_t count = conf_count(conf, "domain_certificates");
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct domain_source *d;

		rc = source_domain_new(
			conf, conf_item(conf, "domain_certificates", i), &sources[*n], err);
		if (rc != RC_OK)
			break;
		d = sources[(*n)++]->ctx;
		d->store = store;
		d->trust = trust_ref(trust);
		d->personal = calloc(n_personal + 1, sizeof(*d->personal));
		if (!d->personal)
			return err_set(err, ERR_MEMORY, "domain_certificates");
		memcpy(d->personal, personal, n_personal * sizeof(*personal));
		d->n_personal = n_personal;
	}
	return rc;
}
