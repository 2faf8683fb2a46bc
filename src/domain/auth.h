/*
 * Who sent it: decides from a source's policy whether the request is authentic, over the raw bytes,
 * in constant time.
 *
 * Pure: no I/O, no clock (the time of reception is an argument, for Standard Webhooks' five
 * minutes). Several kinds of credential in one policy must all hold; of several values of one kind
 * any one may match (rotation). The reason of a refusal is for log and metric only.
 */
#ifndef DOMAIN_AUTH_H
#define DOMAIN_AUTH_H

#include "base/limits.h"
#include "base/slice.h"
#include "domain/address.h"

/* Bytes of an Authorization or signature header; a longer one is a wrong one. */
#define AUTH_HEADER_MAX 8192

enum signature_kind {
    SIGNATURE_NONE,
    SIGNATURE_HMAC_SHA256,       /* HMAC of the raw body in a header */
    SIGNATURE_STANDARD_WEBHOOKS, /* standardwebhooks.com: webhook-id, webhook-timestamp,
                                    webhook-signature */
};

enum signature_encoding { ENCODING_HEX, ENCODING_BASE64 };

struct auth_signature {
    enum signature_kind kind;
    struct slice header; /* of SIGNATURE_HMAC_SHA256 */
    /* In front of the value; the bare value is accepted too (CrossBorderly's document shows both).
     */
    struct slice prefix;
    enum signature_encoding encoding;
};

struct auth_values {
    struct slice *items;
    size_t count;
};

/*
 * What a source demands. Kinds with no value are not demanded, except the signature: its kind alone
 * demands it, and without a secret nothing passes. An empty value never matches.
 */
struct auth_policy {
    struct auth_signature signature;
    /* Keys of the signature, each at most LIMIT_SECRET_FILE; "whsec_…" is base64 for Standard
     * Webhooks, anything else the key itself. */
    struct auth_values secrets;
    struct auth_values basic; /* "user:password" */
    struct auth_values bearer;
    struct auth_values headers; /* "Name: value"; with several names any one is enough too */
    struct auth_values url_tokens;
    struct address_range *allow_from;
    size_t allow_from_count;
    /* HMACs over the body that a refusal costs: as many as the policy with the most secrets needs,
     * so that policies cannot be told apart by the time they take. Fewer than the own secrets: as
     * many as those, and at least one. */
    size_t refusal_hmacs;
};

/* What the request shows. */
struct auth_request {
    /* The value of a request header, empty when absent. */
    struct slice (*header)(const void *context, struct slice name);
    /* Of the header that carries signatures: all values, separated by commas or blanks. NULL: as
     * any other header. */
    struct slice (*signatures)(const void *context, struct slice name);
    const void *context;
    struct slice body;
    struct slice url_token; /* the second path segment; empty: none */
    struct address client;  /* after trusted proxies */
    bool https;             /* or plain HTTP is allowed for bare credentials */
    int64_t received_at;    /* microseconds */
};

enum auth_result {
    AUTH_OK,
    AUTH_ADDRESS,           /* not in allow_from */
    AUTH_PLAIN_HTTP,        /* a bare credential over plain HTTP */
    AUTH_SIGNATURE_MISSING, /* the header, or one of the three */
    AUTH_SIGNATURE_WRONG,
    AUTH_TIMESTAMP, /* Standard Webhooks: rightly signed, but more than five minutes off or no
                       number */
    AUTH_CREDENTIAL_MISSING,
    AUTH_CREDENTIAL_WRONG,
    AUTH_URL_TOKEN,      /* missing, wrong, or given where none is configured */
    AUTH_UNKNOWN_SOURCE, /* for the caller's log: never returned by auth_check() */
    AUTH_WRONG_MODE,     /* likewise */
    AUTH_UNABLE, /* no memory to tell: no refusal, for the sender may be who it says it is */
};

/*
 * A signature header may hold several signatures, separated by commas or blanks: any one of them is
 * enough. Looks at every demanded kind, also after the first that fails; the first failure of
 * address, transport, signature, credential headers, URL token is returned, and AUTH_UNABLE before
 * all. A refusal costs refusal_hmacs HMACs over the body whatever the policy, so its time does not
 * tell a source that signs from one that does not, nor either from the stand-in for an unknown one.
 * A policy without credential passes nobody.
 */
MUST_CHECK enum auth_result auth_check(const struct auth_policy *policy,
                                       const struct auth_request *request);
/* The signature alone, for a body that was authentic when it came: AUTH_OK also where POLICY
 * demands none. Of the request, header, body and received_at are looked at. */
MUST_CHECK enum auth_result auth_check_signature(const struct auth_policy *policy,
                                                 const struct auth_request *request);
/* The key that a secret of Standard Webhooks stands for: "whsec_" and base64, anything else is the
 * key as it is. In ROOM, which the caller wipes, or SECRET itself; empty, which matches nothing,
 * when the base64 is none. */
struct slice auth_standard_key(struct slice secret, uint8_t room[LIMIT_SECRET_FILE]);
/* "signature_wrong", … for log and metric. */
const char *auth_result_name(enum auth_result result);
/* True when the policy demands at least one credential; an address list alone is none. */
bool auth_policy_has_credential(const struct auth_policy *policy);
/* "Bearer" token of an Authorization header value; empty when it is of another scheme or longer
 * than AUTH_HEADER_MAX. */
struct slice auth_bearer_token(struct slice authorization);

#endif
