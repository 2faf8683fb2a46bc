/* Compiler attributes and small macros that every floor uses. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

/* The caller must look at the result: it says whether the call worked. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Argument TEXT (counted from 1) is a printf format for the arguments from FIRST on. */
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
