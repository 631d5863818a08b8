/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap_entry.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/smime_value.h"
#include "directory/ldap_attrs.h"
#include "message/addr.h"

#define LOGGED_VALUES 5 /* of an answer, that are ignored */

/* --- the shape --- */

/* The attribute that a filter compares at P, inside "(attribute=…%a": [start, end). */
static bool
compared_attribute(const char *filter, const char *p, const char **start, size_t *len)
{
	const char *open = p, *equals;

	while (open > filter && open[-1] != '(')
		open--;
	equals = memchr(open, '=', (size_t)(p - open));
	/* With a pattern around the address, or without a name, the values say nothing. */
	if (!equals || memchr(equals, '*', (size_t)(p - equals)) || p[2] != ')')
		return false;
	*start = open;
	*len = strcspn(open, "=~<>:;");
	return *len > 0;
}

static enum rc
add_name(char **names, const char *name, size_t len, struct err *err)
{
	size_t n = 0;

	for (; names[n]; n++)
		if (strlen(names[n]) == len && strncasecmp(names[n], name, len) == 0)
			return RC_OK;
	if (n == LDAP_MAX_NAMES)
		return err_set(err, ERR_CONFIG, "more than %d attributes", LDAP_MAX_NAMES);
	names[n] = strndup(name, len);
	return names[n] ? RC_OK : err_set(err, ERR_MEMORY, "directory");
}

/* The attributes that the filter compares with the address; none when it may look elsewhere too. */
static enum rc
find_addresses(struct ldap_shape *shape, const char *filter, struct err *err)
{
	enum rc rc = RC_OK;
	const char *start;
	bool all = true;
	size_t len;

	for (const char *p = strchr(filter, '%'); rc == RC_OK && p; p = strchr(p + 2, '%')) {
		if (p[1] != 'a')
			continue;
		if (compared_attribute(filter, p, &start, &len))
			rc = add_name(shape->addresses, start, len, err);
		else
			all = false;
	}
	for (size_t i = 0; !all && shape->addresses[i]; i++) {
		free(shape->addresses[i]);
		shape->addresses[i] = NULL;
	}
	return rc;
}

enum rc
ldap_shape_init(struct ldap_shape *shape, const char *const *attributes, size_t n,
	const char *filter, struct err *err)
{
	static const char *const usual[] = {"userSMIMECertificate", "userCertificate"};
	size_t wanted = 0;
	enum rc rc = RC_OK;

	if (n == 0) {
		attributes = usual;
		n = sizeof(usual) / sizeof(usual[0]);
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = add_name(shape->certs, attributes[i], strcspn(attributes[i], ";"), err);
	if (rc == RC_OK && shape->check_entry)
		rc = find_addresses(shape, filter, err);
	for (size_t i = 0; shape->certs[i]; i++)
		shape->wanted[wanted++] = shape->certs[i];
	for (size_t i = 0; shape->addresses[i]; i++)
		shape->wanted[wanted++] = shape->addresses[i];
	return rc;
}

void
ldap_shape_fini(struct ldap_shape *shape)
{
	for (size_t i = 0; i < LDAP_MAX_NAMES; i++) {
		free(shape->certs[i]);
		free(shape->addresses[i]);
	}
	memset(shape, 0, sizeof(*shape));
}

/* --- attribute descriptions --- */

struct description {
	size_t len;  /* of the name */
	bool usable; /* options are those that we know */
	bool range;
	unsigned long goes_on; /* a range: where the next one begins; 0: at its end, or no range */
};

/* NAME;binary;range=0-1499, of LEN bytes. */
static struct description
read_description(const struct berval *name)
{
	struct description d = {.usable = true};
	char text[256];
	char *next = text, *option;

	if (name->bv_len >= sizeof(text) || memchr(name->bv_val, '\0', name->bv_len))
		return (struct description){0};
	memcpy(text, name->bv_val, name->bv_len);
	text[name->bv_len] = '\0';
	d.len = strcspn(text, ";");
	next = text + d.len;
	while ((option = strsep(&next, ";"))) {
		if (strncasecmp(option, "range=", 6) == 0) {
			const char *dash = strchr(option, '-');

			d.range = true;
			d.goes_on = dash && dash[1] != '*' ? strtoul(dash + 1, NULL, 10) + 1 : 0;
		} else if (*option && strcasecmp(option, "binary") != 0) {
			d.usable = false; /* a language, say: another attribute */
		}
	}
	return d;
}

/* The place of NAME among NAMES; -1: it is not there. */
static int
find_name(char *const *names, const struct berval *name, const struct description *d)
{
	for (int i = 0; d->usable && names[i]; i++)
		if (strlen(names[i]) == d->len && strncasecmp(names[i], name->bv_val, d->len) == 0)
			return i;
	return -1;
}

/* --- values --- */

struct entry { /* one while it is read */
	struct ldap_reading *reading;
	const char *dn;
	struct answer found;
	unsigned number;
	unsigned empty, given; /* bits by rank: named without a value; with one, or in ranges */
	bool shows_address, has_address; /* also when one of them can't be told */
	char shown[ADDR_MAX + 1];        /* one that it shows */
};

/* Only the first few are worth a line each. */
static void
ignore_value(struct ldap_reading *reading, const struct err *why)
{
	if (++reading->ignored <= LOGGED_VALUES)
		log_error(LOGL_WARN, NULL, "directory-value-ignored", why, "directory",
			reading->shape->name, NULL);
}

/*
 * One certificate of a value. Active Directory keeps every certificate that somebody ever got by
 * itself: of a long list, those that are expired are not worth their place.
 */
static enum rc
take_cert(struct entry *entry, struct cert *cert, unsigned rank, const struct smimecaps *caps,
	struct err *err)
{
	const struct ldap_shape *shape = entry->reading->shape;
	struct candidate c = {.cert = cert,
		.source = (char *)(uintptr_t)shape->name,
		.tier = shape->tier,
		.proven = shape->willing,
		.entry = entry->number,
		.rank = rank,
		.caps = *caps};

	if (entry->found.n >= LOOKUP_MAX_CERTS / 2 && clock_now() > cert_not_after(cert))
		return RC_OK;
	return answer_take(&entry->found, &c, err);
}

/* A value with one certificate is that one; of several, CA certificates only help with the path. */
static enum rc
take_certs(struct entry *entry, const struct smime_value *value, unsigned rank, struct err *err)
{
	struct answer *found = &entry->found;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < value->certs.n; i++) {
		struct cert *cert = value->certs.v[i];

		rc = certset_add(&found->extra, cert, err);
		if (rc == RC_OK && (value->certs.n == 1 || !cert_is_ca(cert)))
			rc = take_cert(entry, cert, rank, &value->caps, err);
	}
	return rc;
}

static enum rc
take_value(struct entry *entry, const struct berval *value, unsigned rank, struct err *err)
{
	struct ldap_reading *reading = entry->reading;
	struct smime_value parsed = {0};
	struct err bad = ERR_INIT;
	enum rc rc = RC_OK;

	if (++reading->values > LDAP_MAX_VALUES)
		return err_set(err, ERR_DIR_ANSWER, "%s: more than %d values", reading->shape->name,
			LDAP_MAX_VALUES);
	if (value->bv_len > LDAP_MAX_VALUE)
		err_set(&bad, ERR_LIMIT, "a value of %zu bytes", (size_t)value->bv_len);
	else if (smime_value_parse(value->bv_val, value->bv_len, &parsed, &bad) == RC_TEMP)
		return err_set(err, bad.code, "%s: %s", reading->shape->name, bad.detail);
	if (bad.code == ERR_NONE)
		rc = take_certs(entry, &parsed, rank, err);
	else
		ignore_value(reading, &bad);
	smime_value_fini(&parsed);
	return rc;
}

/*
 * "user@domain", or with a kind before it: "smtp:user@domain". The server has its own idea of when
 * two addresses are the same; one that can't be read here may be the one that was asked for.
 */
static void
take_address(struct entry *entry, const struct berval *value)
{
	const char *text = value->bv_val, *end = text + value->bv_len,
		   *colon = memchr(text, ':', value->bv_len);
	char addr[ADDR_MAX + 1];

	if (colon && memchr(colon, '@', (size_t)(end - colon)))
		text = colon + 1;
	while (text < end && *text == ' ')
		text++;
	while (text < end && end[-1] == ' ')
		end--;
	entry->shows_address = true;
	if (addr_canonical(text, (size_t)(end - text), addr, NULL) != RC_OK)
		entry->has_address |= memchr(text, '@', (size_t)(end - text)) != NULL;
	else if (strcasecmp(addr, entry->reading->addr) == 0)
		entry->has_address = true;
	else
		memcpy(entry->shown, addr, sizeof(addr));
}

/* An attribute that goes on is read to its end when the search is over. */
static enum rc
note_range(struct entry *entry, unsigned rank, unsigned long from, struct err *err)
{
	struct ldap_reading *reading = entry->reading;
	struct ldap_range *range = &reading->ranges[reading->n_ranges];

	if (reading->within) {
		reading->next = from;
		return RC_OK;
	}
	if (reading->n_ranges == LDAP_MAX_RANGES)
		return err_set(err, ERR_DIR_ANSWER, "%s: more than %d long attributes",
			reading->shape->name, LDAP_MAX_RANGES);
	*range = (struct ldap_range){
		.dn = strdup(entry->dn), .entry = entry->number, .rank = rank, .from = from};
	if (!range->dn)
		return err_set(err, ERR_MEMORY, "%s", reading->shape->name);
	reading->n_ranges++;
	return RC_OK;
}

static enum rc
take_values(struct entry *entry, const struct berval *name, const struct berval *values,
	struct err *err)
{
	const struct ldap_shape *shape = entry->reading->shape;
	struct description d = read_description(name);
	int rank = find_name(shape->certs, name, &d);
	bool address = find_name(shape->addresses, name, &d) >= 0;
	enum rc rc = RC_OK;

	/* An empty list is how a server begins a range. */
	if (rank >= 0 && (d.range || (values && values[0].bv_val)))
		entry->given |= 1u << rank;
	else if (rank >= 0)
		entry->empty |= 1u << rank;
	for (size_t i = 0; values && values[i].bv_val && rc == RC_OK; i++) {
		if (rank >= 0)
			rc = take_value(entry, &values[i], (unsigned)rank, err);
		if (address)
			take_address(entry, &values[i]);
	}
	if (rc == RC_OK && rank >= 0 && d.goes_on)
		rc = note_range(entry, (unsigned)rank, d.goes_on, err);
	return rc;
}

/* What the entry gave, into the answer: certificates of the wrong one lose. */
static enum rc
finish_entry(struct entry *entry, struct err *err)
{
	struct ldap_reading *reading = entry->reading;
	bool wrong = entry->shows_address && !entry->has_address;
	enum rc rc = RC_OK;

	if (wrong)
		log_event(LOGL_WARN, NULL, "directory-wrong-entry", "directory",
			reading->shape->name, "asked", reading->addr, "entry", entry->dn, "has",
			entry->shown, NULL);
	for (size_t i = 0; rc == RC_OK && i < entry->found.n; i++) {
		struct candidate *c = &entry->found.v[i];

		if (wrong) {
			snprintf(c->why, sizeof(c->why), "the directory's entry is that of %.100s",
				entry->shown[0] ? entry->shown : "another address");
			/* A pin on somebody else is none. */
			c->tier = c->tier < TIER_DIRECTORY ? TIER_DIRECTORY : c->tier;
		}
		rc = answer_take(reading->answer, c, err);
	}
	for (size_t i = 0; rc == RC_OK && i < entry->found.extra.n; i++)
		rc = certset_add(&reading->answer->extra, entry->found.extra.v[i], err);
	return rc;
}

/* An attribute without a value where no range follows: the server has one that it did not send, or
 * makes no sense. That is not "none". */
static enum rc
check_empty(const struct entry *entry, struct err *err)
{
	const struct ldap_shape *shape = entry->reading->shape;

	for (unsigned i = 0; shape->certs[i]; i++)
		if (entry->empty & ~entry->given & 1u << i)
			return err_set(err, ERR_DIR_ANSWER, "%s: %.200s has %s without a value",
				shape->name, entry->dn, shape->certs[i]);
	return RC_OK;
}

enum rc
ldap_reading_take(void *ctx, const struct ldap_lease *lease, LDAPMessage *message, struct err *err)
{
	struct ldap_reading *reading = ctx;
	struct entry entry = {.reading = reading};
	struct ldap_attrs attrs;
	enum rc rc = ldap_attrs_begin(&attrs, lease->ld, message, reading->shape->name, err);

	entry.number = reading->within ? reading->within->entry : reading->entries++;
	entry.dn = attrs.dn;
	while (rc == RC_OK && (rc = ldap_attrs_next(&attrs, err)) == RC_OK)
		rc = take_values(&entry, &attrs.name, attrs.values, err);
	if (rc == RC_NONE)
		rc = check_empty(&entry, err);
	if (rc == RC_OK)
		rc = finish_entry(&entry, err);
	ldap_attrs_end(&attrs);
	answer_fini(&entry.found);
	return rc;
}

void
ldap_reading_again(void *ctx)
{
	struct ldap_reading *reading = ctx;

	if (reading->within)
		return; /* a range that is read once more: the same certificate twice is one */
	answer_fini(reading->answer);
	reading->entries = reading->values = reading->ignored = 0;
	ldap_reading_fini(reading);
}

void
ldap_reading_fini(struct ldap_reading *reading)
{
	for (size_t i = 0; i < reading->n_ranges; i++)
		free(reading->ranges[i].dn);
	reading->n_ranges = 0;
}
