/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/envelope.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum rc
keep(char **field, const char *value, size_t max, struct err *err)
{
	if (*field)
		return RC_OK; /* the first counts */
	if (strlen(value) > max)
		return err_set(err, ERR_ADDR_SYNTAX, "%zu bytes in the envelope", strlen(value));
	*field = strdup(value);
	return *field ? RC_OK : err_set(err, ERR_MEMORY, "envelope");
}

/* The value of ARG when it is "NAME=…", else NULL. */
static const char *
value_of(const char *arg, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(arg, name, len) == 0 && arg[len] == '=' ? arg + len + 1 : NULL;
}

static enum rc
take_mail_arg(struct envelope *envelope, const char *arg, struct err *err)
{
	const char *value;

	if (strcasecmp(arg, "SMTPUTF8") == 0)
		envelope->smtputf8 = true;
	else if ((value = value_of(arg, "BODY")))
		envelope->eightbit |= strcasecmp(value, "7BIT") != 0;
	else if ((value = value_of(arg, "SIZE")))
		envelope->size = strtoull(value, NULL, 10);
	else if ((value = value_of(arg, "RET")))
		return keep(&envelope->ret, value, ENVELOPE_MAX_PARAM, err);
	else if ((value = value_of(arg, "ENVID")))
		return keep(&envelope->envid, value, ENVELOPE_MAX_PARAM, err);
	return RC_OK;
}

bool
envelope_is_local(const char *address)
{
	return address[0] != '<';
}

enum rc
envelope_mail(struct envelope *envelope, char *const *argv, struct err *err)
{
	enum rc rc;

	memset(envelope, 0, sizeof(*envelope));
	rc = keep(&envelope->sender, argv[0], ENVELOPE_MAX_ADDR, err);
	envelope->local = envelope_is_local(argv[0]);
	envelope->extended = argv[1];
	for (size_t i = 1; rc == RC_OK && argv[i]; i++)
		rc = take_mail_arg(envelope, argv[i], err);
	return rc;
}

static enum rc
grow(struct envelope *envelope, struct err *err)
{
	size_t cap = envelope->cap ? envelope->cap * 2 : 4;
	struct envelope_rcpt *v;

	if (envelope->n < envelope->cap)
		return RC_OK;
	v = realloc(envelope->rcpts, cap * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "envelope");
	envelope->rcpts = v;
	envelope->cap = cap;
	return RC_OK;
}

enum rc
envelope_rcpt(struct envelope *envelope, char *const *argv, struct err *err)
{
	struct envelope_rcpt *rcpt;
	enum rc rc = grow(envelope, err);
	const char *value;

	if (rc != RC_OK)
		return rc;
	rcpt = &envelope->rcpts[envelope->n++];
	memset(rcpt, 0, sizeof(*rcpt));
	rc = keep(&rcpt->addr, argv[0], ENVELOPE_MAX_ADDR, err);
	for (size_t i = 1; rc == RC_OK && argv[i]; i++) {
		if ((value = value_of(argv[i], "NOTIFY")))
			rc = keep(&rcpt->notify, value, ENVELOPE_MAX_PARAM, err);
		else if ((value = value_of(argv[i], "ORCPT")))
			rc = keep(&rcpt->orcpt, value, ENVELOPE_MAX_PARAM, err);
	}
	return rc;
}

void
envelope_fini(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->n; i++) {
		free(envelope->rcpts[i].addr);
		free(envelope->rcpts[i].notify);
		free(envelope->rcpts[i].orcpt);
	}
	free(envelope->rcpts);
	free(envelope->sender);
	free(envelope->ret);
	free(envelope->envid);
	memset(envelope, 0, sizeof(*envelope));
}
