// LS_HD marks functions that run on the host and, compiled by nvcc, on a GPU too.
#pragma once

#ifdef __CUDACC__
#define LS_HD __host__ __device__
#else
#define LS_HD
#endif
