/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/ldap_attrs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum rc
ldap_attrs_begin(
	struct ldap_attrs *attrs, LDAP *ld, LDAPMessage *message, const char *who, struct err *err)
{
	struct berval dn = {0};

	*attrs = (struct ldap_attrs){.ld = ld, .message = message, .who = who};
	if (ldap_get_dn_ber(ld, message, &attrs->ber, &dn) == LDAP_SUCCESS)
		attrs->dn = strndup(dn.bv_val ? dn.bv_val : "", dn.bv_len);
	return attrs->dn ? RC_OK : err_set(err, ERR_DIR_ANSWER, "%s: a broken entry", who);
}

/* The values themselves lie in the message. */
static void
drop_values(struct ldap_attrs *attrs)
{
	ber_memfree(attrs->values);
	attrs->values = NULL;
}

enum rc
ldap_attrs_next(struct ldap_attrs *attrs, struct err *err)
{
	drop_values(attrs);
	attrs->name = (struct berval){0};
	if (ldap_get_attribute_ber(attrs->ld, attrs->message, attrs->ber, &attrs->name,
		    &attrs->values) != LDAP_SUCCESS)
		return err_set(err, ERR_DIR_ANSWER, "%s: a broken entry", attrs->who);
	return attrs->name.bv_val ? RC_OK : RC_NONE;
}

bool
ldap_attrs_is(const struct ldap_attrs *attrs, const char *name)
{
	const char *text = attrs->name.bv_val;
	size_t len = strlen(name);

	return attrs->name.bv_len >= len && strncasecmp(text, name, len) == 0 &&
	       (attrs->name.bv_len == len || text[len] == ';');
}

void
ldap_attrs_end(struct ldap_attrs *attrs)
{
	drop_values(attrs);
	ber_free(attrs->ber, 0);
	free(attrs->dn);
	*attrs = (struct ldap_attrs){0};
}
