/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rights.h - rights as compiled; inside policy/ only
 */
#ifndef POLICY_RIGHTS_H
#define POLICY_RIGHTS_H

#include "base/network.h"
#include "policy/addrmap.h"
#include "policy/policy.h"

#include <regex.h>

struct right { /* everything that is given must fit */
	const char *const *services;
	size_t n_services;
	const char *const *identities;
	size_t n_identities;
	bool has_pattern;
	regex_t pattern; /* of the whole login; group 1 is all of it */
	const char *connector;
	struct network *networks;
	size_t n_networks;
	struct addrmap *from; /* NULL: none but those below */
	bool login_itself;    /* %l */
	bool mapped;          /* %m */
	bool by_directory;    /* %a */
	char **templates;     /* with %u or %1 to %9 */
	size_t n_templates;
	const char *key;
};

struct login {
	char *name, *addr; /* one row for each address */
};

struct connector_field {
	char *name;
	const char *value;
};

struct connector {
	const char *name;
	const char *const *subjects, *const *issuers;
	size_t n_subjects, n_issuers;
	struct connector_field *fields;
	size_t n_fields;
};

struct rights {
	struct conf *conf;
	struct right *v;
	size_t n;
	struct login *logins; /* sorted by name */
	size_t n_logins;
	struct connector *connectors;
	size_t n_connectors;
};

/*
 * TEMPLATE with %u (LOGIN up to its @) and %1 to %9 (groups of the right's pattern) put in; OUT has
 * ADDR_MAX + 1 bytes. False: no canonical address, or a part that has an @ or quotes of its own.
 * LOGIN NULL: a trial with "x" everywhere.
 */
bool right_expand(const struct right *right, const char *template, const char *login, char *out);

enum rc connectors_compile(struct rights *rights, struct err *err);
void connectors_free(struct rights *rights);

#endif
