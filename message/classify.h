/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classify.h - what a message is already
 *
 * From header fields, structure and the first bytes of a CMS object, never from keys: signed
 * (multipart/signed with a PKCS#7 protocol, or pkcs7-mime signed-data), enveloped (pkcs7-mime
 * enveloped- or authEnveloped-data, also as application/octet-stream with an smime.p7m name;
 * certificates only is neither), pgp (RFC 3156, or inline armour at a line's start in a text leaf),
 * calendar, tnef, report (multipart/report, null sender with delivery status), list (List-Id,
 * List-Post, Precedence: list), auto-reply (RFC 3834 Auto-Submitted other than no, Precedence:
 * junk/bulk auto), dkim-signed, and our own mark of opened mail.
 */
#ifndef MESSAGE_CLASSIFY_H
#define MESSAGE_CLASSIFY_H

#include "message/mime.h"

enum msg_class {
	CLASS_PLAIN = 1 << 0, /* neither signed, enveloped nor pgp at its root */
	CLASS_SIGNED = 1 << 1,
	CLASS_ENVELOPED = 1 << 2,
	CLASS_PGP = 1 << 3,
	CLASS_CALENDAR = 1 << 4,
	CLASS_TNEF = 1 << 5,
	CLASS_REPORT = 1 << 6,
	CLASS_LIST = 1 << 7,
	CLASS_AUTO_REPLY = 1 << 8,
	CLASS_DKIM_SIGNED = 1 << 9,
	/* Never set here: by a domain of ours; to a message that came to the author encrypted. */
	CLASS_DKIM_OWN = 1 << 11,
	CLASS_REPLY = 1 << 12,
	CLASS_OPENED = 1 << 10 /* carries a header named OPENED_MARK (whether it is ours is checked
			       elsewhere) */
};

#define OPENED_MARK "X-Sealgate-Opened"

/* How the root entity is wrapped, for those who unwrap it. */
enum wrapping {
	WRAP_NONE,
	WRAP_MULTIPART_SIGNED, /* two parts: the signed one and a PKCS#7 signature */
	WRAP_PKCS7_MIME /* one CMS object; which kind is known when its first bytes are read */
};

enum rc classify(const struct hdrs *hdrs, const struct entity *root, struct spool *body,
	const char *sender, unsigned *classes, struct err *err);
enum wrapping entity_wrapping(const struct entity *entity);
/* "signed" → CLASS_SIGNED; 0 when there is no such word. */
unsigned class_from_name(const char *name);
const char *class_name(enum msg_class one);

#endif
