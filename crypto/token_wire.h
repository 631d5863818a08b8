/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token_wire.h - between us and the process that holds a token's module, for the two ends only
 *
 * One packet for a request: operation, parameter, lengths of object label and id (a byte each),
 * label, id, data. One for its answer: status, data (for other statuses than OK: text for the log).
 */
#ifndef CRYPTO_TOKEN_WIRE_H
#define CRYPTO_TOKEN_WIRE_H

#define WIRE_MAX  8192
#define WIRE_HEAD 4
#define WIRE_CONTROL                                                                \
	3 /* descriptor of the channel that begins, and ends with us; others follow \
	   */

enum wire_op {
	WIRE_LOGIN = 1, /* data: the PIN; on the control channel, once */
	WIRE_SIGN,      /* RSA PKCS#1 v1.5 over a DigestInfo */
	WIRE_PSS,       /* over a hash; parameter: enum digest */
	WIRE_ECDSA,     /* over a hash; answer: r and s */
	WIRE_RAW,       /* the bare RSA operation */
	WIRE_DECRYPT,   /* RSA PKCS#1 v1.5 */
	WIRE_OAEP,      /* parameter: digest * 16 + digest of MGF1; data: as for WIRE_RAW */
	WIRE_DERIVE,    /* ECDH; data: the point */
	WIRE_LIST,      /* answer: a line for each private key */
	WIRE_PUBLIC     /* RSA: answer: length of the modulus (two bytes), modulus, exponent */
};

enum wire_status {
	WIRE_OK,
	WIRE_REFUSED,     /* the data do not fit the key: their sender's fault */
	WIRE_UNSUPPORTED, /* the token cannot do that */
	WIRE_NO_KEY,
	WIRE_PIN,    /* refused: not to be tried again */
	WIRE_FAILED, /* with this key, now; the session is begun anew */
	WIRE_TROUBLE /* the token, or the way to it: the process ends */
};

#endif
