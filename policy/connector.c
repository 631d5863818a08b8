/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hosted mail services that hand our people's mail in. Such a service shows one certificate for all
 * its customers, so the certificate alone says nothing: fields that the service itself writes have
 * to name our tenant as well.
 */
#include "policy/rights.h"

#include <stdlib.h>
#include <string.h>

/* "Name: value" */
static enum rc
compile_field(struct rights *rights, const struct conf_group *group, const char *text,
	struct connector_field *field, struct err *err)
{
	size_t len = strcspn(text, ": \t");
	const char *value = text + len;

	if (len == 0 || *value != ':' || !*(value + 1 + strspn(value + 1, " \t")))
		return conf_err(err, rights->conf, group, "headers",
			"\"%.60s\" is not \"Name: value\"", text);
	field->value = value + 1 + strspn(value + 1, " \t");
	field->name = strndup(text, len);
	return field->name ? RC_OK : err_set(err, ERR_MEMORY, "connectors");
}

static enum rc
compile_one(
	struct rights *rights, struct connector *c, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "headers", &values);
	enum rc rc = RC_OK;

	c->name = conf_str(group, "name");
	c->n_subjects = conf_strings(group, "certificate", &c->subjects);
	c->n_issuers = conf_strings(group, "issuer", &c->issuers);
	c->fields = calloc(n ? n : 1, sizeof(*c->fields));
	if (!c->fields)
		return err_set(err, ERR_MEMORY, "connectors");
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = compile_field(rights, group, values[i], &c->fields[i], err);
		if (rc == RC_OK)
			c->n_fields++;
	}
	return rc;
}

enum rc
connectors_compile(struct rights *rights, struct err *err)
{
	size_t n = conf_count(rights->conf, "connectors");
	enum rc rc = RC_OK;

	rights->connectors = calloc(n ? n : 1, sizeof(*rights->connectors));
	if (!rights->connectors)
		return err_set(err, ERR_MEMORY, "connectors");
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		const struct conf_group *group = conf_item(rights->conf, "connectors", i);

		rights->n_connectors = i + 1; /* also a half-made one is freed */
		rc = compile_one(rights, &rights->connectors[i], group, err);
		for (size_t k = 0; rc == RC_OK && k < i; k++)
			if (strcmp(rights->connectors[k].name, rights->connectors[i].name) == 0)
				rc = conf_err(err, rights->conf, group, "name",
					"there is another connector \"%.60s\"",
					rights->connectors[i].name);
	}
	return rc;
}

void
connectors_free(struct rights *rights)
{
	for (size_t i = 0; i < rights->n_connectors; i++) {
		for (size_t k = 0; k < rights->connectors[i].n_fields; k++)
			free(rights->connectors[i].fields[k].name);
		free(rights->connectors[i].fields);
	}
	free(rights->connectors);
}

static bool
is_one_of(const char *text, const char *const *v, size_t n)
{
	for (size_t i = 0; text && *text && i < n; i++)
		if (strcmp(v[i], text) == 0)
			return true;
	return false;
}

/* Is the field there, and has every one of its name this very value? One more could be what the
 * sender wrote. */
static enum rc
field_is(const struct connector_field *field, const struct hdrs *hdrs, bool *is, struct err *err)
{
	struct buf text = BUF_INIT(HDRS_MAX_BYTES);
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	*is = hdrs_find(hdrs, field->name, 0) != NULL;
	for (size_t i = 0; rc == RC_OK && *is && (hdr = hdrs_find(hdrs, field->name, i)); i++) {
		buf_clear(&text);
		rc = hdr_unfold(hdr, &text, err);
		*is = text.len == strlen(field->value) &&
		      memcmp(buf_text(&text), field->value, text.len) == 0;
	}
	buf_fini(&text);
	return rc;
}

enum rc
rights_connector(const struct rights *rights, const struct client_cert *cert,
	const struct hdrs *hdrs, const char **name, struct err *err)
{
	enum rc rc = RC_OK;

	*name = NULL;
	/* Sendmail says whether it could verify the certificate; Postfix names none otherwise. */
	if (!cert->subject || (cert->verify && strcmp(cert->verify, "OK") != 0))
		return RC_OK;
	for (size_t i = 0; rc == RC_OK && !*name && i < rights->n_connectors; i++) {
		const struct connector *c = &rights->connectors[i];
		bool fits =
			is_one_of(cert->subject, c->subjects, c->n_subjects) &&
			(c->n_issuers == 0 || is_one_of(cert->issuer, c->issuers, c->n_issuers));

		for (size_t k = 0; rc == RC_OK && fits && k < c->n_fields; k++)
			rc = field_is(&c->fields[k], hdrs, &fits, err);
		if (rc == RC_OK && fits)
			*name = c->name;
	}
	return rc;
}
