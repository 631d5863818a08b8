/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cryptoki.h - as much of the interface to tokens (PKCS#11 v2.20 and later) as we use
 *
 * Written from the specification, so that neither headers nor libraries of tokens are needed to
 * build. The list of functions has to have the specified order; what we do not call is a plain
 * pointer.
 */
#ifndef CRYPTO_CRYPTOKI_H
#define CRYPTO_CRYPTOKI_H

typedef unsigned long ck_ulong;
typedef unsigned char ck_byte;

#define CKR_OK                         0x000ul
#define CKR_HOST_MEMORY                0x002ul
#define CKR_SLOT_ID_INVALID            0x003ul
#define CKR_GENERAL_ERROR              0x005ul
#define CKR_FUNCTION_FAILED            0x006ul
#define CKR_ARGUMENTS_BAD              0x007ul
#define CKR_ATTRIBUTE_TYPE_INVALID     0x012ul
#define CKR_DATA_INVALID               0x020ul
#define CKR_DATA_LEN_RANGE             0x021ul
#define CKR_DEVICE_ERROR               0x030ul
#define CKR_DEVICE_MEMORY              0x031ul
#define CKR_DEVICE_REMOVED             0x032ul
#define CKR_ENCRYPTED_DATA_INVALID     0x040ul
#define CKR_ENCRYPTED_DATA_LEN_RANGE   0x041ul
#define CKR_KEY_HANDLE_INVALID         0x060ul
#define CKR_KEY_FUNCTION_NOT_PERMITTED 0x068ul
#define CKR_KEY_TYPE_INCONSISTENT      0x063ul
#define CKR_MECHANISM_INVALID          0x070ul
#define CKR_MECHANISM_PARAM_INVALID    0x071ul
#define CKR_OBJECT_HANDLE_INVALID      0x082ul
#define CKR_PIN_INCORRECT              0x0a0ul
#define CKR_PIN_INVALID                0x0a1ul
#define CKR_PIN_LEN_RANGE              0x0a2ul
#define CKR_PIN_EXPIRED                0x0a3ul
#define CKR_PIN_LOCKED                 0x0a4ul
#define CKR_SESSION_CLOSED             0x0b0ul
#define CKR_SESSION_HANDLE_INVALID     0x0b3ul
#define CKR_TOKEN_NOT_PRESENT          0x0e0ul
#define CKR_TOKEN_NOT_RECOGNIZED       0x0e1ul
#define CKR_USER_ALREADY_LOGGED_IN     0x100ul
#define CKR_USER_NOT_LOGGED_IN         0x101ul
#define CKR_USER_PIN_NOT_INITIALIZED   0x102ul
#define CKR_NOT_INITIALIZED            0x190ul
#define CKR_ALREADY_INITIALIZED        0x191ul

#define CKF_SERIAL_SESSION     0x4ul
#define CKF_OS_LOCKING_OK      0x2ul
#define CKF_LOGIN_REQUIRED     0x4ul     /* of the token */
#define CKF_USER_PIN_FINAL_TRY 0x20000ul /* of the token */
#define CKF_USER_PIN_LOCKED    0x40000ul /* of the token */

#define CKU_USER 1ul

#define CKO_CERTIFICATE 1ul
#define CKO_PUBLIC_KEY  2ul
#define CKO_PRIVATE_KEY 3ul
#define CKO_SECRET_KEY  4ul

#define CKK_RSA            0x00ul
#define CKK_EC             0x03ul
#define CKK_GENERIC_SECRET 0x10ul

#define CKA_CLASS           0x000ul
#define CKA_TOKEN           0x001ul
#define CKA_LABEL           0x003ul
#define CKA_VALUE           0x011ul
#define CKA_KEY_TYPE        0x100ul
#define CKA_ID              0x102ul
#define CKA_SENSITIVE       0x103ul
#define CKA_MODULUS         0x120ul
#define CKA_PUBLIC_EXPONENT 0x122ul
#define CKA_VALUE_LEN       0x161ul
#define CKA_EXTRACTABLE     0x162ul

#define CKM_RSA_PKCS      0x0001ul
#define CKM_RSA_X_509     0x0003ul
#define CKM_RSA_PKCS_OAEP 0x0009ul
#define CKM_RSA_PKCS_PSS  0x000dul
#define CKM_SHA_1         0x0220ul
#define CKM_SHA224        0x0255ul
#define CKM_SHA256        0x0250ul
#define CKM_SHA384        0x0260ul
#define CKM_SHA512        0x0270ul
#define CKM_ECDSA         0x1041ul
#define CKM_ECDH1_DERIVE  0x1050ul

#define CKG_MGF1_SHA1   1ul
#define CKG_MGF1_SHA256 2ul
#define CKG_MGF1_SHA384 3ul
#define CKG_MGF1_SHA512 4ul
#define CKG_MGF1_SHA224 5ul

#define CKD_NULL           1ul
#define CKZ_DATA_SPECIFIED 1ul

struct ck_version {
	ck_byte major, minor;
};

struct ck_token_info {
	ck_byte label[32], manufacturer[32], model[16], serial[16];
	ck_ulong flags;
	ck_ulong counts[10]; /* sessions, PIN lengths, memory */
	struct ck_version hardware, firmware;
	ck_byte utc_time[16];
};

struct ck_mechanism {
	ck_ulong mechanism;
	void *parameter;
	ck_ulong parameter_len;
};

struct ck_attribute {
	ck_ulong type;
	void *value;
	ck_ulong value_len;
};

struct ck_initialize_args {
	void *create_mutex, *destroy_mutex, *lock_mutex, *unlock_mutex;
	ck_ulong flags;
	void *reserved;
};

struct ck_pss_params {
	ck_ulong hash, mgf, salt_len;
};

struct ck_oaep_params {
	ck_ulong hash, mgf, source;
	void *data;
	ck_ulong data_len;
};

struct ck_ecdh1_params {
	ck_ulong kdf;
	ck_ulong shared_len;
	ck_byte *shared;
	ck_ulong public_len;
	ck_byte *public_point;
};

struct ck_functions {
	struct ck_version version;
	ck_ulong (*initialize)(void *args);
	void *finalize, *get_info, *get_function_list;
	ck_ulong (*get_slot_list)(ck_byte token_present, ck_ulong *slots, ck_ulong *count);
	void *get_slot_info;
	ck_ulong (*get_token_info)(ck_ulong slot, struct ck_token_info *info);
	void *get_mechanism_list, *get_mechanism_info, *init_token, *init_pin, *set_pin;
	ck_ulong (*open_session)(
		ck_ulong slot, ck_ulong flags, void *app, void *notify, ck_ulong *session);
	ck_ulong (*close_session)(ck_ulong session);
	void *close_all_sessions, *get_session_info, *get_operation_state, *set_operation_state;
	ck_ulong (*login)(ck_ulong session, ck_ulong user, const ck_byte *pin, ck_ulong pin_len);
	void *logout, *create_object, *copy_object;
	ck_ulong (*destroy_object)(ck_ulong session, ck_ulong object);
	void *get_object_size;
	ck_ulong (*get_attribute_value)(
		ck_ulong session, ck_ulong object, struct ck_attribute *attributes, ck_ulong count);
	void *set_attribute_value;
	ck_ulong (*find_objects_init)(
		ck_ulong session, struct ck_attribute *attributes, ck_ulong count);
	ck_ulong (*find_objects)(
		ck_ulong session, ck_ulong *objects, ck_ulong max, ck_ulong *count);
	ck_ulong (*find_objects_final)(ck_ulong session);
	void *encrypt_init, *encrypt, *encrypt_update, *encrypt_final;
	ck_ulong (*decrypt_init)(ck_ulong session, struct ck_mechanism *mechanism, ck_ulong key);
	ck_ulong (*decrypt)(ck_ulong session, const ck_byte *in, ck_ulong in_len, ck_byte *out,
		ck_ulong *out_len);
	void *decrypt_update, *decrypt_final, *digest_init, *digest, *digest_update, *digest_key,
		*digest_final;
	ck_ulong (*sign_init)(ck_ulong session, struct ck_mechanism *mechanism, ck_ulong key);
	ck_ulong (*sign)(ck_ulong session, const ck_byte *data, ck_ulong len, ck_byte *signature,
		ck_ulong *signature_len);
	void *sign_update, *sign_final, *sign_recover_init, *sign_recover, *verify_init, *verify,
		*verify_update, *verify_final, *verify_recover_init, *verify_recover,
		*digest_encrypt_update, *decrypt_digest_update, *sign_encrypt_update,
		*decrypt_verify_update, *generate_key, *generate_key_pair, *wrap_key, *unwrap_key;
	ck_ulong (*derive_key)(ck_ulong session, struct ck_mechanism *mechanism, ck_ulong base,
		struct ck_attribute *attributes, ck_ulong count, ck_ulong *key);
	void *seed_random, *generate_random, *get_function_status, *cancel_function,
		*wait_for_slot_event;
};

#endif
