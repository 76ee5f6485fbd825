// The C program of c_test.c.
#include <gtest/gtest.h>

extern "C" int tenon_c_roundtrip(void);

TEST(CApi, RoundTripFromC) { EXPECT_EQ(tenon_c_roundtrip(), 42); }
