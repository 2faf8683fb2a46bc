/*
 * Parcel lives to send: the files of cli/lives/, made part of the program by the build. One file a
 * provider, one line an event, so that a body can be read and mended where it stands:
 *
 *   provider NAME
 *   life NAME              one parcel's life; the events of the life "single" belong to none
 *   MINUTES EVENT BODY     one event, so long after the life began
 *
 * Empty lines and those that begin with '#' say nothing. In a BODY stand:
 *
 *   ${life}                14 digits, the same in all events of a life
 *   ${event} ${uuid}       14 digits, a UUID: others in every event
 *   ${time} ${unix} ${date}   when it happened: RFC 3339, unix seconds, YYYY-MM-DD
 *   ${time:90} …           90 minutes after the life began
 *   ${live} ${test} ${environment}   the sender's flag of live traffic: a boolean, its opposite, or
 *                          production and sandbox
 */
#ifndef CLI_LIVES_H
#define CLI_LIVES_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"

struct life_step {
    int64_t minutes;
    struct slice event, body;
};

struct life {
    struct slice name;
    const struct life_step *steps;
    size_t count;
    bool single;
};

struct lives {
    struct life *items;
    size_t count;
};

/* Those of PROVIDER, in ARENA; none when there is no file of it. False with ERR_MEMORY, or with
 * ERR_INPUT for a line that is none. */
MUST_CHECK bool lives_of(struct slice provider, struct arena *arena, struct lives *lives,
                         struct err *err);

/* What one event is filled with. */
struct life_facts {
    uint64_t life, event; /* random; their digits are made of them */
    int64_t begin, at;    /* of the life, of the event; microseconds */
    bool live;
};
/* BODY with everything put in, appended to OUT. False without memory, and for an unknown name. */
MUST_CHECK bool life_fill(struct slice body, const struct life_facts *facts, struct strbuf *out);
/* Whether BODY can say that it is sandbox traffic. */
bool life_has_flag(struct slice body);

#endif
