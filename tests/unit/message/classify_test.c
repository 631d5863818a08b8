/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/classify.h"

#include "tests/unit/message/seven.h"

#define CT "Content-Type: "
#define B  "Content-Transfer-Encoding: base64\r\n\r\n"
/* The first bytes of ContentInfo, made with: printf
 * '\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30' | base64 */
#define SIGNED_B64    "MIAGCSqGSIb3DQEHAqCAMA==\r\n"
#define ENVELOPED_B64 "MIAGCSqGSIb3DQEHA6CAMA==\r\n"
/* '\x30\x82\x01\x00\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17\xa0\x80' and with \x09 for
 * \x17 */
#define AUTH_B64                    \
	"MIIBAAYLKoZIhvcNAQkQARegg" \
	"A==\r\n"
#define COMPRESSED_B64              \
	"MIIBAAYLKoZIhvcNAQkQAQmgg" \
	"A==\r\n"
#define SIGNED_PARTS                     \
	"\r\n--b\r\n\r\nx\r\n--b\r\n" CT \
	"application/pkcs7-signature; name=smime.p7s\r\n\r\nAAAA\r\n--b--\r\n"

static const struct {
	const char *name, *sender, *text;
	unsigned want;
	enum wrapping wrapping;
} cases[] = {
	{"plain", "a@b.example", "Subject: x\r\n\r\nhi\r\n", CLASS_PLAIN, WRAP_NONE},
	{"signed", "a@b.example",
		CT
		"multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n" SIGNED_PARTS,
		CLASS_SIGNED, WRAP_MULTIPART_SIGNED},
	{"signed, old type", "a@b.example",
		CT
		"Multipart/Signed; protocol=\"application/X-pkcs7-signature\"; boundary=b\r\n" SIGNED_PARTS,
		CLASS_SIGNED, WRAP_MULTIPART_SIGNED},
	{"signed, no protocol", "a@b.example", CT "multipart/signed; boundary=b\r\n" SIGNED_PARTS,
		CLASS_SIGNED, WRAP_MULTIPART_SIGNED},
	{"signed, one part", "a@b.example",
		CT
		"multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
		CLASS_SIGNED, WRAP_NONE},
	{"signed by PGP", "a@b.example",
		CT
		"multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
		CLASS_PGP, WRAP_NONE},
	{"encrypted by PGP", "a@b.example",
		CT
		"multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n",
		CLASS_PGP, WRAP_NONE},
	{"signed inside is plain", "a@b.example",
		CT
		"multipart/mixed; boundary=o\r\n\r\n--o\r\n" CT
		"multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n" SIGNED_PARTS
		"--o\r\n\r\nfooter\r\n--o--\r\n",
		CLASS_PLAIN, WRAP_NONE},
	{"opaque", "a@b.example",
		CT "application/pkcs7-mime; smime-type=signed-data\r\n" B SIGNED_B64, CLASS_SIGNED,
		WRAP_PKCS7_MIME},
	{"opaque, label lies", "a@b.example",
		CT "application/pkcs7-mime; smime-type=enveloped-data\r\n" B SIGNED_B64,
		CLASS_SIGNED, WRAP_PKCS7_MIME},
	{"opaque, no label", "a@b.example", CT "application/x-pkcs7-mime\r\n" B SIGNED_B64,
		CLASS_SIGNED, WRAP_PKCS7_MIME},
	{"enveloped", "a@b.example",
		CT "application/pkcs7-mime; smime-type=enveloped-data\r\n" B ENVELOPED_B64,
		CLASS_ENVELOPED, WRAP_PKCS7_MIME},
	{"enveloped, label lies", "a@b.example",
		CT "application/pkcs7-mime; smime-type=signed-data\r\n" B ENVELOPED_B64,
		CLASS_ENVELOPED, WRAP_PKCS7_MIME},
	{"authEnveloped", "a@b.example", CT "application/pkcs7-mime; smime-type=x\r\n" B AUTH_B64,
		CLASS_ENVELOPED, WRAP_PKCS7_MIME},
	{"compressed", "a@b.example", CT "application/pkcs7-mime\r\n" B COMPRESSED_B64, CLASS_PLAIN,
		WRAP_PKCS7_MIME},
	{"garbage by its label", "a@b.example",
		CT "application/pkcs7-mime; smime-type=signed-data\r\n" B "AAAA\r\n", CLASS_SIGNED,
		WRAP_PKCS7_MIME},
	{"garbage without one", "a@b.example", CT "application/pkcs7-mime\r\n" B "A\r\n",
		CLASS_ENVELOPED, WRAP_PKCS7_MIME},
	{"empty", "a@b.example", CT "application/pkcs7-mime\r\n\r\n", CLASS_ENVELOPED,
		WRAP_PKCS7_MIME},
	{"certificates only", "a@b.example",
		CT "application/pkcs7-mime; smime-type=certs-only; name=smime.p7c\r\n" B SIGNED_B64,
		CLASS_PLAIN, WRAP_PKCS7_MIME},
	{"octet-stream by its name", "a@b.example",
		CT "application/octet-stream; name=\"smime.P7M\"\r\n" B ENVELOPED_B64,
		CLASS_ENVELOPED, WRAP_PKCS7_MIME},
	{"octet-stream by its disposition", "a@b.example",
		CT
		"application/octet-stream\r\nContent-Disposition: attachment; filename=smime.p7m\r\n" B
			ENVELOPED_B64,
		CLASS_ENVELOPED, WRAP_PKCS7_MIME},
	{"octet-stream", "a@b.example", CT "application/octet-stream; name=p7m\r\n" B ENVELOPED_B64,
		CLASS_PLAIN, WRAP_NONE},
	{"inline PGP", "a@b.example", "\r\nhi\r\n-----BEGIN PGP MESSAGE-----\r\n", CLASS_PGP,
		WRAP_NONE},
	{"inline PGP, clear-signed, in base64", "a@b.example",
		B "LS0tLS1CRUdJTiBQR1AgU0lHTkVEIE1FU1NBR0UtLS0tLQo=\r\n", CLASS_PGP, WRAP_NONE},
	{"PGP in the middle of a line", "a@b.example",
		"\r\n> -----BEGIN PGP MESSAGE-----\r\n-----BEGIN PGP MESSAGE----\r\n", CLASS_PLAIN,
		WRAP_NONE},
	{"PGP key", "a@b.example", "\r\n-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n", CLASS_PLAIN,
		WRAP_NONE},
	{"PGP after a half line", "a@b.example",
		"\r\n-----BEGIN PGP \r\n-\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n", CLASS_PGP,
		WRAP_NONE},
	{"PGP in a forwarded message", "a@b.example",
		CT "message/rfc822\r\n\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n", CLASS_PLAIN,
		WRAP_NONE},
	{"calendar", "a@b.example",
		CT "multipart/alternative; boundary=b\r\n\r\n--b\r\n" CT
		   "text/calendar; method=REQUEST\r\n\r\n--b--\r\n",
		CLASS_PLAIN | CLASS_CALENDAR, WRAP_NONE},
	{"TNEF", "a@b.example", CT "application/octet-stream; name=WinMail.dat\r\n\r\n",
		CLASS_PLAIN | CLASS_TNEF, WRAP_NONE},
	{"TNEF by type", "a@b.example", CT "application/ms-tnef\r\n\r\n", CLASS_PLAIN | CLASS_TNEF,
		WRAP_NONE},
	{"report", "a@b.example", CT "multipart/report; boundary=b\r\n\r\n--b--\r\n",
		CLASS_PLAIN | CLASS_REPORT, WRAP_NONE},
	{"bounce", "",
		CT "multipart/mixed; boundary=b\r\n\r\n--b\r\n" CT
		   "message/delivery-status\r\n\r\n--b--\r\n",
		CLASS_PLAIN | CLASS_REPORT, WRAP_NONE},
	{"no bounce", "a@b.example",
		CT "multipart/mixed; boundary=b\r\n\r\n--b\r\n" CT
		   "message/delivery-status\r\n\r\n--b--\r\n",
		CLASS_PLAIN, WRAP_NONE},
	{"list", "a@b.example", "List-Id: x\r\n\r\n", CLASS_PLAIN | CLASS_LIST, WRAP_NONE},
	{"list by precedence", "a@b.example", "Precedence: LIST\r\n\r\n", CLASS_PLAIN | CLASS_LIST,
		WRAP_NONE},
	{"auto-reply", "a@b.example", "Auto-Submitted: auto-replied (x)\r\n\r\n",
		CLASS_PLAIN | CLASS_AUTO_REPLY, WRAP_NONE},
	{"no auto-reply", "a@b.example", "Auto-Submitted: No; x\r\n\r\n", CLASS_PLAIN, WRAP_NONE},
	{"bulk", "a@b.example", "Precedence: bulk\r\n\r\n", CLASS_PLAIN | CLASS_AUTO_REPLY,
		WRAP_NONE},
	{"DKIM and our mark", "a@b.example", "DKIM-Signature: x\r\nx-sealgate-opened: y\r\n\r\n",
		CLASS_PLAIN | CLASS_DKIM_SIGNED | CLASS_OPENED, WRAP_NONE},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].text);
		struct spool *spool = spool_of(cases[i].text, len);
		struct err err = ERR_INIT;
		struct entity *root;
		struct hdrs hdrs;
		unsigned classes;

		CHECK_INT(
			cases[i].name, mime_parse_entity(spool, 0, len, &hdrs, &root, &err), RC_OK);
		CHECK_INT(cases[i].name,
			classify(&hdrs, root, spool, cases[i].sender, &classes, &err), RC_OK);
		CHECK_INT(cases[i].name, classes, cases[i].want);
		CHECK_INT(cases[i].name, entity_wrapping(root), cases[i].wrapping);
		entity_free(&root);
		hdrs_fini(&hdrs);
		spool_free(&spool);
	}
}

/* Armour across the borders of what the spool hands out. */
static void
test_borders(void **state)
{
	static const char armour[] = "\r\n-----BEGIN PGP MESSAGE-----\r\n";
	char *text = malloc(70000);

	(void)state;
	assert_non_null(text);
	for (size_t pad = 65500; pad < 65540; pad++) {
		size_t len = 2 + pad + sizeof(armour) - 1;
		struct err err = ERR_INIT;
		struct spool *spool;
		struct entity *root;
		struct hdrs hdrs;
		unsigned classes;

		memset(text, 'x', 2 + pad);
		memcpy(text, "\r\n", 2);
		memcpy(text + 2 + pad, armour, sizeof(armour) - 1);
		spool = spool_of(text, len);
		CHECK_INT("parse", mime_parse_entity(spool, 0, len, &hdrs, &root, &err), RC_OK);
		CHECK_INT("classify", classify(&hdrs, root, spool, "", &classes, &err), RC_OK);
		CHECK_INT("PGP", classes, CLASS_PGP);
		entity_free(&root);
		hdrs_fini(&hdrs);
		spool_free(&spool);
	}
	free(text);
}

static void
test_names(void **state)
{
	(void)state;
	for (unsigned one = CLASS_PLAIN; one <= CLASS_OPENED; one <<= 1)
		CHECK_INT(class_name(one), class_from_name(class_name(one)), one);
	CHECK_INT("none", class_from_name("nonsense"), 0);
	CHECK_INT("auto-reply", class_from_name("auto-reply"), CLASS_AUTO_REPLY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
