## SPDX-License-Identifier: BSD-2-Clause
## Unit tests of crypto/: one program for each source file; add it to check_PROGRAMS.

## What the fetcher looks at
check_PROGRAMS += tests/unit/crypto/fetched_test
tests_unit_crypto_fetched_test_SOURCES = tests/unit/crypto/fetched_test.c tests/unit/directory/people.h
tests_unit_crypto_fetched_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## The CMS half
check_PROGRAMS += tests/unit/crypto/cms_envelope_test
tests_unit_crypto_cms_envelope_test_SOURCES = tests/unit/crypto/cms_envelope_test.c tests/unit/crypto/people.h
tests_unit_crypto_cms_envelope_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/crypto/cms_sign_test
tests_unit_crypto_cms_sign_test_SOURCES = tests/unit/crypto/cms_sign_test.c tests/unit/crypto/people.h
tests_unit_crypto_cms_sign_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/crypto/cms_corpora_test
tests_unit_crypto_cms_corpora_test_SOURCES = tests/unit/crypto/cms_corpora_test.c tests/unit/crypto/people.h
tests_unit_crypto_cms_corpora_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_cms_corpora_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/crypto/smime_test
tests_unit_crypto_smime_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/crypto/ber_test
tests_unit_crypto_ber_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## The certificate half
check_PROGRAMS += \
	tests/unit/crypto/cert_test \
	tests/unit/crypto/issue_test \
	tests/unit/crypto/p12_test \
	tests/unit/crypto/path_test \
	tests/unit/crypto/trust_rules_test \
	tests/unit/crypto/trust_test
tests_unit_crypto_trust_rules_test_SOURCES = tests/unit/crypto/trust_rules_test.c tests/unit/crypto/pki.h
tests_unit_crypto_trust_rules_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_trust_rules_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_path_test_SOURCES = tests/unit/crypto/path_test.c tests/unit/crypto/pki.h
tests_unit_crypto_path_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_path_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_cert_test_SOURCES = tests/unit/crypto/cert_test.c tests/unit/crypto/pki.h
tests_unit_crypto_cert_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_cert_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_trust_test_SOURCES = tests/unit/crypto/trust_test.c tests/unit/crypto/pki.h
tests_unit_crypto_trust_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_trust_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_issue_test_SOURCES = tests/unit/crypto/issue_test.c tests/unit/crypto/pki.h
tests_unit_crypto_issue_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_issue_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_p12_test_SOURCES = tests/unit/crypto/p12_test.c tests/unit/crypto/pki.h
tests_unit_crypto_p12_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_p12_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/crypto/mac_test
tests_unit_crypto_mac_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## Names and requests for certificates
check_PROGRAMS += tests/unit/crypto/csr_test tests/unit/crypto/dn_test
tests_unit_crypto_csr_test_SOURCES = tests/unit/crypto/csr_test.c tests/unit/crypto/pki.h
tests_unit_crypto_csr_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_csr_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_dn_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## Signatures of officers
check_PROGRAMS += tests/unit/crypto/signed_by_test
tests_unit_crypto_signed_by_test_SOURCES = tests/unit/crypto/signed_by_test.c tests/unit/crypto/people.h
tests_unit_crypto_signed_by_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## Keys that a token fails with
check_PROGRAMS += tests/unit/crypto/token_trouble_test
tests_unit_crypto_token_trouble_test_SOURCES = tests/unit/crypto/token_trouble_test.c
tests_unit_crypto_token_trouble_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## What correspondents can open
check_PROGRAMS += tests/unit/crypto/smimecaps_test
tests_unit_crypto_smimecaps_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## Revocation
check_PROGRAMS += tests/unit/crypto/crl_test
tests_unit_crypto_crl_test_SOURCES = tests/unit/crypto/crl_test.c tests/unit/crypto/lists.h tests/unit/crypto/pki.h
tests_unit_crypto_crl_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_crl_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/crypto/ocsp_test
tests_unit_crypto_ocsp_test_SOURCES = tests/unit/crypto/ocsp_test.c tests/unit/crypto/lists.h tests/unit/crypto/pki.h
tests_unit_crypto_ocsp_test_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_crypto_ocsp_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## What directories have of people
check_PROGRAMS += tests/unit/crypto/smime_value_test
tests_unit_crypto_smime_value_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)

## What private keys give without memory, and to whoever asks twice
check_PROGRAMS += tests/unit/crypto/rinfo_test
tests_unit_crypto_rinfo_test_SOURCES = tests/unit/crypto/rinfo_test.c tests/unit/crypto/people.h
tests_unit_crypto_rinfo_test_LDADD = $(SG_LIBS_CRYPTO) $(CMOCKA_LIBS)
tests_unit_crypto_rinfo_test_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=realloc
