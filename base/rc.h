/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rc.h - the four outcomes of everything that can fail
 *
 * The same from the LDAP socket to the SMTP reply and the exit status. Trouble that
 * nobody foresaw is RC_TEMP: whoever holds the message keeps it.
 */
#ifndef BASE_RC_H
#define BASE_RC_H

enum rc {
	RC_OK = 0,    /* done */
	RC_NONE = 1,  /* look-ups only: we asked, and there is none */
	RC_TEMP = -1, /* try later: SMTP 4xx, exit status 75 */
	RC_PERM = -2  /* no retry helps: SMTP 5xx, exit status 65 */
};

#endif
