/*
 * The calendar: days since 1970-01-01 and the proleptic Gregorian date that each of them is.
 *
 * Pure.
 */
#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

struct civil {
    int year, month, day; /* months and days from 1 */
};

bool civil_is_leap(int year);
int civil_days_in_month(int year, int month);
int32_t civil_to_days(struct civil date);
struct civil civil_from_days(int64_t days);

#endif
