/* SPDX-License-Identifier: Apache-2.0 */
// bench.c - micro benchmarks for full-system emulators.  One static binary, runs natively and in a guest.
// usage: bench [-t secs] [-r reps] [-m] [-l] [-x] [name-prefix ...]
//   prints  "RESULT <name> <median> <unit> spread=<(max-min)/median%> n=<iters>"   (unit ns/... : lower is better; others: higher is better)
//   -m prints "@@B name"/"@@E name" markers round each timed repetition so that the host can account its own CPU time
//   -x also runs privileged I/O tests (guest only)
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <time.h>
#include <math.h>
#include <errno.h>
#include <signal.h>
#include <pthread.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/io.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/resource.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <immintrin.h>
#include <x86intrin.h>

typedef uint64_t u64; typedef uint32_t u32; typedef uint8_t u8;
static volatile u64 sink; static volatile double fsink;
static double cpu(void){struct rusage a,b;getrusage(RUSAGE_SELF,&a);getrusage(RUSAGE_CHILDREN,&b);return a.ru_utime.tv_sec+a.ru_stime.tv_sec+b.ru_utime.tv_sec+b.ru_stime.tv_sec+1e-6*(a.ru_utime.tv_usec+a.ru_stime.tv_usec+b.ru_utime.tv_usec+b.ru_stime.tv_usec);}
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec*1e-9;}
#define NI __attribute__((noinline))
#define BAR() ({__asm__ volatile("":::"memory");0;})

/* ------------------------------------------------------------------ integer */
static NI void b_alu(u64 n){u64 x=88172645463325252ull,y=1;for(u64 i=0;i<n;i++){x^=x<<13;x^=x>>7;x^=x<<17;y+=x*0x9E3779B97F4A7C15ull;y=(y<<9)|(y>>55);}sink=x+y;}
static NI void b_alu_ilp(u64 n){u64 a=1,b=2,c=3,d=4;for(u64 i=0;i<n;i++){a+=b^i;b=b*5+1;c^=a>>3;d+=c|1;a-=d&255;BAR();}sink=a+b+c+d;}
static NI void b_adc(u64 n){static u64 A[8]={1,2,3,4,5,6,7,8},B[8]={~0ull,9,8,7,6,5,4,3};for(u64 i=0;i<n;i++){
 __asm__ volatile("movq (%1),%%rax; addq %%rax,(%0); movq 8(%1),%%rax; adcq %%rax,8(%0); movq 16(%1),%%rax; adcq %%rax,16(%0); movq 24(%1),%%rax; adcq %%rax,24(%0);"
 "movq 32(%1),%%rax; adcq %%rax,32(%0); movq 40(%1),%%rax; adcq %%rax,40(%0); movq 48(%1),%%rax; adcq %%rax,48(%0); movq 56(%1),%%rax; adcq %%rax,56(%0)"
 ::"r"(A),"r"(B):"rax","memory","cc");}sink=A[3];}
static NI void b_collatz(u64 n){u64 s=0;for(u64 i=1;i<=n;i++){u64 x=i+1000000;int k=0;while(x!=1&&k<64){if(x&1)x=3*x+1;else x>>=1;k++;}s+=k+x;}sink=s;}
static NI void b_div(u64 n){u64 x=0x123456789abcdefull,s=0;for(u64 i=0;i<n;i++){u64 d=(i|0x10001);s+=x/d;x=x*6364136223846793005ull+s%d;}sink=s;}
static NI u64 fib(u64 n){return n<2?n:fib(n-1)+fib(n-2);}
static NI void b_fib(u64 n){u64 s=0;for(u64 i=0;i<n;i++)s+=fib(20);sink=s;}
typedef u64 (*fp_t)(u64);
#define F(k) static NI u64 f##k(u64 x){return x*(2*k+1)+k;}
F(0)F(1)F(2)F(3)F(4)F(5)F(6)F(7)F(8)F(9)F(10)F(11)F(12)F(13)F(14)F(15)
static fp_t ftab[16]={f0,f1,f2,f3,f4,f5,f6,f7,f8,f9,f10,f11,f12,f13,f14,f15};
static NI void b_vcall(u64 n){u64 x=12345;u32 r=1;for(u64 i=0;i<n;i++){r=r*1664525u+1013904223u;x=ftab[r>>28](x);}sink=x;}
static NI void b_interp(u64 n){ // threaded bytecode interpreter, 8 ops
 static const u8 prog[]={0,1,2,3,0,4,1,5,2,6,0,1,3,4,5,2,1,0,6,3,7};static const void*lab[]={&&o0,&&o1,&&o2,&&o3,&&o4,&&o5,&&o6,&&o7};
 u64 a=1,b=2,c=3;const u8*pc=prog;u64 left=n;
#define NX goto *lab[*pc++]
 NX;o0:a+=b;NX;o1:b^=a;NX;o2:c+=a*3;NX;o3:a=(a<<5)|(a>>59);NX;o4:if(c&1)b++;NX;o5:c-=b;NX;o6:b+=7;NX;o7:pc=prog;if(--left)NX;sink=a+b+c;}
static const u32 K256[64]={0x428a2f98,0x71374491,0xb5c0fbcf,0xe9b5dba5,0x3956c25b,0x59f111f1,0x923f82a4,0xab1c5ed5,0xd807aa98,0x12835b01,0x243185be,0x550c7dc3,0x72be5d74,0x80deb1fe,0x9bdc06a7,0xc19bf174,0xe49b69c1,0xefbe4786,0x0fc19dc6,0x240ca1cc,0x2de92c6f,0x4a7484aa,0x5cb0a9dc,0x76f988da,0x983e5152,0xa831c66d,0xb00327c8,0xbf597fc7,0xc6e00bf3,0xd5a79147,0x06ca6351,0x14292967,0x27b70a85,0x2e1b2138,0x4d2c6dfc,0x53380d13,0x650a7354,0x766a0abb,0x81c2c92e,0x92722c85,0xa2bfe8a1,0xa81a664b,0xc24b8b70,0xc76c51a3,0xd192e819,0xd6990624,0xf40e3585,0x106aa070,0x19a4c116,0x1e376c08,0x2748774c,0x34b0bcb5,0x391c0cb3,0x4ed8aa4a,0x5b9cca4f,0x682e6ff3,0x748f82ee,0x78a5636f,0x84c87814,0x8cc70208,0x90befffa,0xa4506ceb,0xbef9a3f7,0xc67178f2};
#define RR(x,n) (((x)>>(n))|((x)<<(32-(n))))
static NI void sha_blk(u32*h,const u8*p){u32 w[64];for(int i=0;i<16;i++){u32 t;memcpy(&t,p+4*i,4);w[i]=__builtin_bswap32(t);}
 for(int i=16;i<64;i++)w[i]=(RR(w[i-2],17)^RR(w[i-2],19)^(w[i-2]>>10))+w[i-7]+(RR(w[i-15],7)^RR(w[i-15],18)^(w[i-15]>>3))+w[i-16];
 u32 a=h[0],b=h[1],c=h[2],d=h[3],e=h[4],f=h[5],g=h[6],k=h[7];
 for(int i=0;i<64;i++){u32 t1=k+(RR(e,6)^RR(e,11)^RR(e,25))+((e&f)^(~e&g))+K256[i]+w[i],t2=(RR(a,2)^RR(a,13)^RR(a,22))+((a&b)^(a&c)^(b&c));k=g;g=f;f=e;e=d+t1;d=c;c=b;b=a;a=t1+t2;}
 h[0]+=a;h[1]+=b;h[2]+=c;h[3]+=d;h[4]+=e;h[5]+=f;h[6]+=g;h[7]+=k;}
static u8 *buf; /* 64 MiB */
#define BUFSZ (64u<<20)
static void filltext(u8*p,size_t n){u32 r=12345;static const char*w[]={"the ","quick ","brown ","fox ","jumps ","over ","lazy ","dog ","emulator ","device ","process ","memory ","0123456789 ","guest\n","virtio ","x86 "};size_t i=0;while(i<n){r=r*1664525u+1013904223u;const char*s=w[r>>28];while(*s&&i<n)p[i++]=*s++;if((r&0xff0)==0&&i<n)p[i++]=r>>16;}}
static NI void b_sha256(u64 n){u32 h[8]={1,2,3,4,5,6,7,8};for(u64 i=0;i<n;i++)sha_blk(h,buf+((i*64)&0xffff));sink=h[0];}
static u32 crct[256];
static NI void b_crc32(u64 n){u32 c=~0u;for(u64 i=0;i<n;i++)c=crct[(c^buf[i&0xffff])&255]^(c>>8);sink=c;}
static NI size_t lzc(const u8*s,size_t n,u8*o){static u32 ht[1<<13];memset(ht,0,sizeof ht);size_t i=0,op=0,lit=0;
 while(i+8<n){u32 v;memcpy(&v,s+i,4);u32 h=(v*2654435761u)>>19;u32 c=ht[h];ht[h]=i;u32 cv;memcpy(&cv,s+c,4);
  if(c<i&&i-c<65535&&cv==v){size_t l=4;while(i+l<n&&s[c+l]==s[i+l]&&l<255)l++;o[op++]=(i-lit)&255;while(lit<i)o[op++]=s[lit++];o[op++]=l;o[op++]=(i-c);o[op++]=(i-c)>>8;i+=l;lit=i;}else i++;}
 while(lit<n)o[op++]=s[lit++];return op;}
static NI void b_lz(u64 n){u64 s=0;for(u64 i=0;i<n;i++)s+=lzc(buf+((i&15)<<16),65536,buf+(32u<<20));sink=s;}
static int cmpi(const void*a,const void*b){int x=*(int*)a,y=*(int*)b;return (x>y)-(x<y);}
static NI void b_qsort(u64 n){int *a=(int*)(buf+(16u<<20));u32 r=1;for(u64 k=0;k<n;k++){for(int i=0;i<4000000;i++){r=r*1664525u+1013904223u;a[i]=r;}qsort(a,4000000,4,cmpi);sink=a[17];}}
static NI void b_bignum(u64 n){u64 a[16],b[16],r[32];for(int i=0;i<16;i++){a[i]=0x9E3779B97F4A7C15ull*(i+1);b[i]=~a[i]*3;}for(u64 k=0;k<n;k++){memset(r,0,sizeof r);for(int i=0;i<16;i++){u64 c=0;for(int j=0;j<16;j++){unsigned __int128 t=(unsigned __int128)a[i]*b[j]+r[i+j]+c;r[i+j]=t;c=t>>64;}r[i+16]=c;}a[k&15]^=r[20];}sink=r[7];}
static NI void b_str(u64 n){char*s=(char*)buf+(40u<<20);memset(s,'a',4096);s[4095]=0;char*t=s+8192;memcpy(t,s,4096);u64 x=0;for(u64 i=0;i<n;i++){x+=strlen(s)+(strchr(s,'z')!=0)+strcmp(s,t)+(memchr(s,'q',4095)!=0);BAR();}sink=x;}
/* ------------------------------------------------------------------ memory */
static void **mkchain(size_t bytes){size_t n=bytes/64;static u8*area;if(!area)area=mmap(0,BUFSZ,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE,-1,0);
 u32*p=malloc(n*4);for(size_t i=0;i<n;i++)p[i]=i;u64 r=88172645463325252ull;for(size_t i=n-1;i>0;i--){r^=r<<13;r^=r>>7;r^=r<<17;size_t j=r%i;u32 t=p[i];p[i]=p[j];p[j]=t;}
 for(size_t i=0;i<n;i++)*(void**)(area+(size_t)p[i]*64)=area+(size_t)p[(i+1)%n]*64;void**s=(void**)(area+(size_t)p[0]*64);free(p);return s;}
static void**chain;static size_t chsz;
static NI void chase(size_t sz,u64 n){if(chsz!=sz){chain=mkchain(sz);chsz=sz;}void**p=chain;for(u64 i=0;i<n;i+=8){p=*p;p=*p;p=*p;p=*p;p=*p;p=*p;p=*p;p=*p;}chain=p;sink=(u64)p;}
static void b_ch16k(u64 n){chase(16<<10,n);} static void b_ch1m(u64 n){chase(1<<20,n);} static void b_ch64m(u64 n){chase(64u<<20,n);}
static NI void b_memcpy(u64 n){for(u64 i=0;i<n;i++)memcpy(buf,buf+(32u<<20)+5*4096,1<<20),BAR();}
static NI void b_memcpy4k(u64 n){for(u64 i=0;i<n;i++)memcpy(buf,buf+(32u<<20)+5*4096,4096),BAR();}
static NI void b_alias(u64 n){for(u64 i=0;i<n;i++)memcpy(buf,buf+(32u<<20),4096),BAR();} // src and dst 32 MiB apart: same index in a direct-mapped soft TLB
static NI void b_memset(u64 n){for(u64 i=0;i<n;i++)memset(buf+(48u<<20),i,1<<20),BAR();}
static NI void b_repmovsb(u64 n){for(u64 i=0;i<n;i++){void*d=buf+(48u<<20)+37*4096,*s=buf;u64 c=65536;__asm__ volatile("rep movsb":"+D"(d),"+S"(s),"+c"(c)::"memory");}}
static NI void b_repstosb(u64 n){for(u64 i=0;i<n;i++){void*d=buf+(48u<<20);u64 c=65536;__asm__ volatile("rep stosb":"+D"(d),"+c"(c):"a"(i):"memory");}}
static NI void b_repmovsq(u64 n){for(u64 i=0;i<n;i++){void*d=buf+(48u<<20)+37*4096,*s=buf;u64 c=8192;__asm__ volatile("rep movsq":"+D"(d),"+S"(s),"+c"(c)::"memory");}}
static NI void b_repstosq(u64 n){for(u64 i=0;i<n;i++){void*d=buf+(48u<<20);u64 c=8192;__asm__ volatile("rep stosq":"+D"(d),"+c"(c):"a"(i):"memory");}}
static NI void b_loop64(u64 n){u64 s=0;for(u64 k=0;k<n;k++){volatile u64*p=(u64*)buf;for(int i=0;i<8192;i++)s+=p[i];}sink=s;} // scalar loads 64 KiB
static NI void b_store64(u64 n){for(u64 k=0;k<n;k++){volatile u64*p=(u64*)(buf+(48u<<20));for(int i=0;i<8192;i++)p[i]=i;}}
static NI void b_unal(u64 n){u64 s=0;u8*b=buf;for(u64 i=0;i<n;i++){u64 v;__asm__ volatile("movq %1,%0":"=r"(v):"m"(*(u64*)(b+((i&1023)*4096)+4093)));s+=v;}sink=s;}
/* ------------------------------------------------------------------ floating point */
static NI void b_mandel(u64 n){u64 it=0;for(u64 k=0;k<n;k++){double cr=-0.5+(k%64)*1e-4,ci=0.5,zr=0,zi=0;for(int i=0;i<256;i++){double t=zr*zr-zi*zi+cr;zi=2*zr*zi+ci;zr=t;if(zr*zr+zi*zi>4)break;it++;}}sink=it;}
struct body{double x[3],v[3],m;};
static NI void b_nbody(u64 n){struct body b[5]={{{0,0,0},{0,0,0},39.47},{{4.84,-1.16,-.10},{.606,2.81,-.02},.037},{{8.34,4.12,-.4},{-1.01,1.82,.008},.011},{{12.89,-15.11,-.22},{1.08,.868,-.01},.0017},{{15.37,-25.9,.179},{.979,.594,-.034},.002}};
 for(u64 k=0;k<n;k++){for(int i=0;i<5;i++)for(int j=i+1;j<5;j++){double d[3],q=0;for(int c=0;c<3;c++){d[c]=b[i].x[c]-b[j].x[c];q+=d[c]*d[c];}double mag=0.001/(q*sqrt(q));for(int c=0;c<3;c++){b[i].v[c]-=d[c]*b[j].m*mag;b[j].v[c]+=d[c]*b[i].m*mag;}}
 for(int i=0;i<5;i++)for(int c=0;c<3;c++)b[i].x[c]+=0.001*b[i].v[c];}fsink=b[0].x[0];}
static NI void b_libm(u64 n){double s=0,x=0.1;for(u64 i=0;i<n;i++){s+=sin(x)+exp(-x)+log(x+1);x+=0.001;if(x>10)x=.1;}fsink=s;}
static NI void b_x87(u64 n){u64 it=0;for(u64 k=0;k<n;k++){long double cr=-0.5L+(k%64)*1e-4L,ci=0.5L,zr=0,zi=0;for(int i=0;i<256;i++){long double t=zr*zr-zi*zi+cr;zi=2*zr*zi+ci;zr=t;if(zr*zr+zi*zi>4)break;it++;}}sink=it;}
static NI void b_sse2d(u64 n){double*a=(double*)buf+(1<<20),*b=a+4096;for(int i=0;i<8192;i++)a[i]=1.0+i*1e-5;__m128d k=_mm_set1_pd(0.999);for(u64 r=0;r<n;r++){for(int i=0;i<1024;i+=2){__m128d x=_mm_load_pd(a+i),y=_mm_load_pd(b+i);x=_mm_add_pd(_mm_mul_pd(x,k),y);y=_mm_sub_pd(_mm_mul_pd(y,k),_mm_set1_pd(0.001));_mm_store_pd(a+i,x);_mm_store_pd(b+i,y);}}fsink=a[5];}
static NI void b_sse2f(u64 n){float*a=(float*)buf+(1<<20),*b=a+4096;for(int i=0;i<8192;i++)a[i]=1.0f+i*1e-5f;__m128 k=_mm_set1_ps(0.999f);for(u64 r=0;r<n;r++){for(int i=0;i<1024;i+=4){__m128 x=_mm_load_ps(a+i),y=_mm_load_ps(b+i);x=_mm_add_ps(_mm_mul_ps(x,k),y);y=_mm_sub_ps(_mm_mul_ps(y,k),_mm_set1_ps(0.001f));_mm_store_ps(a+i,x);_mm_store_ps(b+i,y);}}fsink=a[5];}
static NI void b_sse2i(u64 n){__m128i*a=(__m128i*)buf;__m128i s=_mm_set1_epi8(3),t=_mm_setzero_si128();for(u64 r=0;r<n;r++)for(int i=0;i<256;i++){__m128i x=_mm_load_si128(a+i);x=_mm_add_epi8(x,s);x=_mm_xor_si128(x,_mm_slli_epi32(x,3));x=_mm_unpacklo_epi8(x,t);t=_mm_add_epi16(t,_mm_max_epu8(x,s));s=_mm_shuffle_epi32(_mm_cmpeq_epi32(t,x),0x1b);}sink=_mm_cvtsi128_si64(t);}
__attribute__((target("avx2"))) static NI void b_avx2i(u64 n){__m256i*a=(__m256i*)buf;__m256i s=_mm256_set1_epi8(3),t=_mm256_setzero_si256();for(u64 r=0;r<n;r++)for(int i=0;i<256;i++){__m256i x=_mm256_load_si256(a+i);x=_mm256_add_epi8(x,s);x=_mm256_xor_si256(x,_mm256_slli_epi32(x,3));x=_mm256_shuffle_epi8(x,t);t=_mm256_add_epi16(t,_mm256_max_epu8(x,s));s=_mm256_permute4x64_epi64(_mm256_cmpeq_epi32(t,x),0x1b);}sink=_mm256_extract_epi64(t,0);}
__attribute__((target("avx2"))) static NI void b_avx2d(u64 n){double*a=(double*)buf+(1<<20),*b=a+4096;for(int i=0;i<8192;i++)a[i]=1.0+i*1e-5;__m256d k=_mm256_set1_pd(0.999);for(u64 r=0;r<n;r++){for(int i=0;i<1024;i+=4){__m256d x=_mm256_load_pd(a+i),y=_mm256_load_pd(b+i);x=_mm256_add_pd(_mm256_mul_pd(x,k),y);y=_mm256_sub_pd(_mm256_mul_pd(y,k),_mm256_set1_pd(0.001));_mm256_store_pd(a+i,x);_mm256_store_pd(b+i,y);}}fsink=a[5];}
__attribute__((target("avx2,fma"))) static NI void b_fma(u64 n){double*a=(double*)buf+(1<<20),*b=a+4096;for(int i=0;i<8192;i++)a[i]=1.0+i*1e-5;__m256d k=_mm256_set1_pd(0.999);for(u64 r=0;r<n;r++){for(int i=0;i<1024;i+=4){__m256d x=_mm256_load_pd(a+i),y=_mm256_load_pd(b+i);x=_mm256_fmadd_pd(x,k,y);y=_mm256_fmsub_pd(y,k,_mm256_set1_pd(0.001));_mm256_store_pd(a+i,x);_mm256_store_pd(b+i,y);}}fsink=a[5];}
__attribute__((target("aes"))) static NI void b_aesni(u64 n){__m128i x=_mm_set1_epi32(7),k=_mm_set1_epi32(0x1234567);for(u64 r=0;r<n;r++)for(int i=0;i<10;i++)x=_mm_aesenc_si128(x,k);sink=_mm_cvtsi128_si64(x);}
__attribute__((target("pclmul"))) static NI void b_pclmul(u64 n){__m128i x=_mm_set1_epi32(7),k=_mm_set1_epi32(0x1234567);for(u64 r=0;r<n;r++){x=_mm_xor_si128(_mm_clmulepi64_si128(x,k,0x01),_mm_clmulepi64_si128(x,k,0x10));}sink=_mm_cvtsi128_si64(x);}
/* ------------------------------------------------------------------ kernel interface */
static NI void b_getppid(u64 n){for(u64 i=0;i<n;i++)syscall(SYS_getppid);}
static NI void b_clock(u64 n){struct timespec t;for(u64 i=0;i<n;i++)clock_gettime(CLOCK_MONOTONIC,&t);sink=t.tv_nsec;}
static NI void b_rdtsc(u64 n){u64 s=0;for(u64 i=0;i<n;i++)s+=__rdtsc();sink=s;}
static NI void b_cpuid(u64 n){for(u64 i=0;i<n;i++){u32 a=0,b,c=0,d;__asm__ volatile("cpuid":"+a"(a),"=b"(b),"+c"(c),"=d"(d));}}
static NI void b_pipe(u64 n){int p[2],q[2];if(pipe(p)||pipe(q))exit(1);pid_t k=fork();char c=0;if(!k){close(p[1]);close(q[0]);while(read(p[0],&c,1)==1)if(write(q[1],&c,1)!=1)break;_exit(0);}
 close(p[0]);close(q[1]);for(u64 i=0;i<n;i++){if(write(p[1],&c,1)!=1||read(q[0],&c,1)!=1)exit(1);}close(p[1]);close(q[0]);waitpid(k,0,0);}
static void pin(int c){cpu_set_t s;CPU_ZERO(&s);CPU_SET(c,&s);sched_setaffinity(0,sizeof s,&s);} static void unpin(void){cpu_set_t s;CPU_ZERO(&s);for(int i=0;i<64;i++)CPU_SET(i,&s);sched_setaffinity(0,sizeof s,&s);}
static NI void b_pipe1(u64 n){pin(0);b_pipe(n);unpin();}
static NI void forkn(u64 n){for(u64 i=0;i<n;i++){pid_t k=fork();if(!k)_exit(0);waitpid(k,0,0);}}
static NI void b_fork(u64 n){char a[32];sprintf(a,"%lu",(unsigned long)n);pid_t k=vfork();if(!k){execl("/proc/self/exe","bench","--forkn",a,(char*)0);_exit(1);}waitpid(k,0,0);} // small process
static NI void b_forkexec(u64 n){for(u64 i=0;i<n;i++){pid_t k=vfork();if(!k){execl("/proc/self/exe","bench","--true",(char*)0);_exit(1);}waitpid(k,0,0);}}
static NI void b_fault(u64 n){for(u64 i=0;i<n;i++){u8*p=mmap(0,4u<<20,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);madvise(p,4u<<20,MADV_NOHUGEPAGE);for(size_t o=0;o<4u<<20;o+=4096)p[o]=1;munmap(p,4u<<20);}}
static NI void b_mprotect(u64 n){u8*p=mmap(0,65536,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);memset(p,1,65536);for(u64 i=0;i<n;i++){mprotect(p,4096,PROT_READ);mprotect(p,4096,PROT_READ|PROT_WRITE);p[0]=i;}munmap(p,65536);}
static volatile u64 sigs;static void hsig(int s){sigs++;}
static NI void b_signal(u64 n){signal(SIGUSR1,hsig);pid_t me=getpid();pid_t t=syscall(SYS_gettid);for(u64 i=0;i<n;i++)syscall(SYS_tgkill,me,t,SIGUSR1);}
static u8*segp;static void hsegv(int s,siginfo_t*i,void*u){mprotect(segp,4096,PROT_READ|PROT_WRITE);}
static NI void b_segv(u64 n){segp=mmap(0,4096,PROT_READ,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);struct sigaction sa={0};sa.sa_sigaction=hsegv;sa.sa_flags=SA_SIGINFO;sigaction(SIGSEGV,&sa,0);for(u64 i=0;i<n;i++){mprotect(segp,4096,PROT_READ);*(volatile u8*)segp=1;}signal(SIGSEGV,SIG_DFL);munmap(segp,4096);}
static NI void b_file(u64 n){char nm[64];sprintf(nm,"/tmp/bf.%d",getpid());char b[4096]={0};for(u64 i=0;i<n;i++){int f=open(nm,O_CREAT|O_RDWR|O_TRUNC,0600);if(f<0)exit(1);if(write(f,b,4096)!=4096)exit(1);if(pread(f,b,4096,0)!=4096)exit(1);close(f);unlink(nm);}}
static NI void b_rdzero(u64 n){int f=open("/dev/zero",O_RDONLY);for(u64 i=0;i<n;i++)if(read(f,buf,65536)!=65536)exit(1);close(f);}
static NI void b_usleep(u64 n){struct timespec t={0,100000};for(u64 i=0;i<n;i++)nanosleep(&t,0);}
static NI void b_unix(u64 n){int s[2];if(socketpair(AF_UNIX,SOCK_STREAM,0,s))exit(1);char b[4096];for(u64 i=0;i<n;i++){if(write(s[0],b,4096)!=4096)exit(1);size_t g=0;while(g<4096)g+=read(s[1],b+g,4096-g);}close(s[0]);close(s[1]);}
/* ------------------------------------------------------------------ threads */
static u64 acnt;static volatile int go;struct ta{u64 n;int cpu;};
static void*athr(void*p){struct ta*a=p;pin(a->cpu);while(!go);for(u64 i=0;i<a->n;i++)__atomic_fetch_add(&acnt,1,__ATOMIC_SEQ_CST);return 0;}
static NI void b_atom1(u64 n){for(u64 i=0;i<n;i++)__atomic_fetch_add(&acnt,1,__ATOMIC_SEQ_CST);}
static NI void b_atom2(u64 n){pthread_t t[2];struct ta a[2]={{n/2,0},{n/2,1}};go=0;for(int i=0;i<2;i++)pthread_create(&t[i],0,athr,&a[i]);go=1;for(int i=0;i<2;i++)pthread_join(t[i],0);}
static pthread_mutex_t mx=PTHREAD_MUTEX_INITIALIZER;static void*mthr(void*p){struct ta*a=p;pin(a->cpu);while(!go);for(u64 i=0;i<a->n;i++){pthread_mutex_lock(&mx);acnt++;pthread_mutex_unlock(&mx);}return 0;}
static NI void b_mutex2(u64 n){pthread_t t[2];struct ta a[2]={{n/2,0},{n/2,1}};go=0;for(int i=0;i<2;i++)pthread_create(&t[i],0,mthr,&a[i]);go=1;for(int i=0;i<2;i++)pthread_join(t[i],0);}
static void*wthr(void*p){struct ta*a=p;pin(a->cpu);while(!go);u64 x=a->cpu+1;for(u64 i=0;i<a->n;i++){x^=x<<13;x^=x>>7;x^=x<<17;}sink=x;return 0;}
static NI void b_par2(u64 n){pthread_t t[2];struct ta a[2]={{n/2,0},{n/2,1}};go=0;for(int i=0;i<2;i++)pthread_create(&t[i],0,wthr,&a[i]);go=1;for(int i=0;i<2;i++)pthread_join(t[i],0);}
static volatile int tstop;static void*spin(void*p){pin(1);u64 x=1;while(!tstop){x=x*3+1;((volatile u8*)buf)[x&0xfffff]=1;}sink=x;return 0;}
static NI void b_tlbshoot(u64 n){pthread_t t;tstop=0;pthread_create(&t,0,spin,0);pin(0);u8*p=mmap(0,65536,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);memset(p,1,65536);for(u64 i=0;i<n;i++){mprotect(p,4096,PROT_READ);mprotect(p,4096,PROT_READ|PROT_WRITE);p[0]=i;}munmap(p,65536);tstop=1;pthread_join(t,0);unpin();}
static NI void b_thrcreate(u64 n){for(u64 i=0;i<n;i++){pthread_t t;struct ta a={0,0};go=1;pthread_create(&t,0,athr,&a);pthread_join(t,0);}}
/* ------------------------------------------------------------------ translator stress */
static u8*jit; // RWX
static void jinit(void){if(!jit){jit=mmap(0,32u<<20,PROT_READ|PROT_WRITE|PROT_EXEC,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);if(jit==MAP_FAILED){perror("rwx");exit(1);}memset(jit,0xc3,32u<<20);}}
static NI void b_smc(u64 n){jinit();u8*c=jit;u64 s=0;c[0]=0xb8;c[5]=0xc3;for(u64 i=0;i<n;i++){*(volatile u32*)(c+1)=i;s+=((u32(*)(void))c)();}sink=s;} // patch imm32, call: pure SMC
static NI void b_smcdata(u64 n){jinit();u8*c=jit+8192;u64 s=0;c[0]=0xb8;c[5]=0xc3;for(u64 i=0;i<n;i++){*(volatile u32*)(c+2048)=i;s+=((u32(*)(void))c)();}sink=s;} // data write into a page that also holds code (no code changed)
// cold code: k blocks of 6 instrs + jcc-never + jmp next; every iteration rewrites a region and runs it once
static u8*emit_block(u8*p,u32 r){ // ~ 8 instructions, 33 bytes
 *p++=0x48;*p++=0x05;memcpy(p,&r,4);p+=4;            // add rax,imm32
 *p++=0x48;*p++=0x31;*p++=0xc2;                      // xor rdx,rax
 *p++=0x48;*p++=0x8d;*p++=0x4c;*p++=0x10;*p++=r&0x7f;// lea rcx,[rax+rdx+d8]
 *p++=0x48;*p++=0xc1;*p++=0xe1;*p++=1+(r>>8&15);     // shl rcx,i
 *p++=0x48;*p++=0x01;*p++=0xca;                      // add rdx,rcx
 *p++=0x48;*p++=0x89;*p++=0x54;*p++=0x24;*p++=0xf0;  // mov [rsp-16],rdx
 *p++=0x48;*p++=0x85;*p++=0xe4;                      // test rsp,rsp
 *p++=0x74;*p++=0x00;                                // jz +0  (never taken, ends block)
 return p;}
static u32 cseed=1;
static NI void b_cold(u64 n){jinit();u8*base=jit+(1<<20);for(u64 i=0;i<n;){u8*p=base;u64 k=0;while(k<20000&&i<n){cseed=cseed*1664525u+1013904223u;p=emit_block(p,cseed);k++;i++;}*p++=0xc3;__asm__ volatile("call *%0"::"r"(base):"rax","rcx","rdx","memory","cc");}}
static NI void b_coldfresh(u64 n){ // code never executed before: emit 1000 blocks into fresh memory, run once, move on
 static u8*r,*p;for(u64 i=0;i<n;){if(!r||p>r+(64u<<20)-65536){if(r)munmap(r,64u<<20);r=p=mmap(0,64u<<20,PROT_READ|PROT_WRITE|PROT_EXEC,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);}
 u8*b=p;for(int k=0;k<1000&&i<n;k++,i++){cseed=cseed*1664525u+1013904223u;p=emit_block(p,cseed);}*p++=0xc3;__asm__ volatile("call *%0"::"r"(b):"rax","rcx","rdx","memory","cc");p=(u8*)(((u64)p+4095)&~4095ull);}}
static NI void b_emitonly(u64 n){jinit();u8*base=jit+(16<<20);for(u64 i=0;i<n;){u8*p=base;u64 k=0;while(k<20000&&i<n){cseed=cseed*1664525u+1013904223u;p=emit_block(p,cseed);k++;i++;}*p++=0xc3;}}
static NI void b_warm(u64 n){jinit();static int done;u8*base=jit+(8<<20);if(!done){u8*p=base;for(int k=0;k<20000;k++){cseed=cseed*1664525u+1013904223u;p=emit_block(p,cseed);}*p++=0xc3;done=1;}for(u64 i=0;i<n;i+=20000)__asm__ volatile("call *%0"::"r"(base):"rax","rcx","rdx","memory","cc");}
/* ------------------------------------------------------------------ privileged I/O (guest only) */
static int iop=-1;static int getio(void){if(iop<0)iop=iopl(3)==0;return iop;}
static NI void b_out80(u64 n){if(!getio())return;for(u64 i=0;i<n;i++)outb(0,0x80);}
static NI void b_incmos(u64 n){if(!getio())return;u64 s=0;for(u64 i=0;i<n;i++)s+=inb(0x71);sink=s;}
static NI void b_hpet(u64 n){static volatile u32*h;if(!h){int f=open("/dev/mem",O_RDWR|O_SYNC);if(f<0)return;h=mmap(0,4096,PROT_READ|PROT_WRITE,MAP_SHARED,f,0xfed00000);close(f);if(h==MAP_FAILED){h=0;return;}}u64 s=0;for(u64 i=0;i<n;i++)s+=h[0xf0/4];sink=s;}

enum{RATE,NS}; enum{X_AVX2=1,X_FMA=2,X_AES=4,X_PCL=8,X_SMP=16,X_IO=32};
struct bm{const char*name,*unit;void(*fn)(u64);double per;int kind,need;u64 n0;};
#define MB 1e-6
static struct bm T[]={
{"int.alu","Mop/s",b_alu,1e-6,RATE,0,100000},{"int.ilp","Mop/s",b_alu_ilp,1e-6,RATE,0,100000},{"int.adc512","Mop/s",b_adc,1e-6,RATE,0,10000},
{"int.collatz","Mseq/s",b_collatz,1e-6,RATE,0,1000},{"int.div","Mop/s",b_div,1e-6,RATE,0,10000},{"int.fib20","call/s",b_fib,1,RATE,0,4},
{"int.vcall","Mop/s",b_vcall,1e-6,RATE,0,10000},{"int.interp","Mbc/s",b_interp,21e-6,RATE,0,1000},
{"int.sha256","MB/s",b_sha256,64e-6,RATE,0,1000},{"int.crc32","MB/s",b_crc32,1e-6,RATE,0,10000},{"int.lz","MB/s",b_lz,65536e-6,RATE,0,2},
{"int.qsort4M","Melem/s",b_qsort,4,RATE,0,1},{"int.bignum","kmul/s",b_bignum,1e-3,RATE,0,100},{"int.str4k","Mcall/s",b_str,4e-6,RATE,0,100},
{"mem.chase16k","ns/ld",b_ch16k,1,NS,0,10000},{"mem.chase1m","ns/ld",b_ch1m,1,NS,0,10000},{"mem.chase64m","ns/ld",b_ch64m,1,NS,0,10000},
{"mem.memcpy1m","MB/s",b_memcpy,1.048576,RATE,0,4},{"mem.memcpy4k","MB/s",b_memcpy4k,4096e-6,RATE,0,100},{"mem.memcpyalias","MB/s",b_alias,4096e-6,RATE,0,100},{"mem.memset1m","MB/s",b_memset,1.048576,RATE,0,4},
{"mem.repmovsb","MB/s",b_repmovsb,65536e-6,RATE,0,10},{"mem.repstosb","MB/s",b_repstosb,65536e-6,RATE,0,10},{"mem.repmovsq","MB/s",b_repmovsq,65536e-6,RATE,0,10},{"mem.repstosq","MB/s",b_repstosq,65536e-6,RATE,0,10},
{"mem.load64","MB/s",b_loop64,65536e-6,RATE,0,10},{"mem.store64","MB/s",b_store64,65536e-6,RATE,0,10},{"mem.unalpage","Mld/s",b_unal,1e-6,RATE,0,10000},
{"fp.mandel","kpt/s",b_mandel,1e-3,RATE,0,100},{"fp.nbody","kstep/s",b_nbody,1e-3,RATE,0,1000},{"fp.libm","Mcall/s",b_libm,3e-6,RATE,0,1000},{"fp.x87mandel","kpt/s",b_x87,1e-3,RATE,0,10},
{"fp.sse2d","Mflop/s",b_sse2d,4096e-6,RATE,0,10},{"fp.sse2f","Mflop/s",b_sse2f,4096e-6,RATE,0,10},{"fp.avx2d","Mflop/s",b_avx2d,4096e-6,RATE,X_AVX2,10},{"fp.fma","Mflop/s",b_fma,4096e-6,RATE,X_FMA,10},
{"vec.sse2i","Mvec/s",b_sse2i,256e-6,RATE,0,10},{"vec.avx2i","Mvec/s",b_avx2i,256e-6,RATE,X_AVX2,10},{"vec.aesni","Mrnd/s",b_aesni,10e-6,RATE,X_AES,1000},{"vec.pclmul","Mop/s",b_pclmul,2e-6,RATE,X_PCL,1000},
{"sys.getppid","ns/call",b_getppid,1,NS,0,1000},{"sys.clock_gettime","ns/call",b_clock,1,NS,0,1000},{"sys.rdtsc","ns/op",b_rdtsc,1,NS,0,1000},{"sys.cpuid","ns/op",b_cpuid,1,NS,0,100},
{"sys.pipe1cpu","us/rt",b_pipe1,1e-3,NS,0,100},{"sys.fork","us/op",b_fork,1e-3,NS,0,10},{"sys.forkexec","us/op",b_forkexec,1e-3,NS,0,5},{"sys.fault","ns/page",b_fault,1.0/1024,NS,0,1},{"sys.mprotect","ns/pair",b_mprotect,1,NS,0,100},
{"sys.signal","ns/sig",b_signal,1,NS,0,100},{"sys.segv","ns/op",b_segv,1,NS,0,100},{"sys.file4k","us/op",b_file,1e-3,NS,0,10},{"sys.readzero","MB/s",b_rdzero,65536e-6,RATE,0,10},{"sys.sleep100us","us/op",b_usleep,1e-3,NS,0,100},{"sys.unixsock4k","us/op",b_unix,1e-3,NS,0,100},
{"thr.atomic1","ns/op",b_atom1,1,NS,0,10000},{"thr.create","us/op",b_thrcreate,1e-3,NS,0,10},
{"thr.atomic2","ns/op",b_atom2,1,NS,X_SMP,10000},{"thr.mutex2","ns/op",b_mutex2,1,NS,X_SMP,10000},{"thr.par2","Mop/s",b_par2,1e-6,RATE,X_SMP,100000},{"thr.tlbshoot","ns/pair",b_tlbshoot,1,NS,X_SMP,100},{"thr.pipe2cpu","us/rt",b_pipe,1e-3,NS,X_SMP,100},
{"dbt.smc","ns/op",b_smc,1,NS,0,100},{"dbt.smcdata","ns/op",b_smcdata,1,NS,0,100},{"dbt.emitonly","ns/blk",b_emitonly,1,NS,0,20000},{"dbt.cold","ns/blk",b_cold,1,NS,0,20000},{"dbt.coldfresh","ns/blk",b_coldfresh,1,NS,0,20000},{"dbt.warm","ns/blk",b_warm,1,NS,0,20000},
{"io.out80","ns/op",b_out80,1,NS,X_IO,100},{"io.in71","ns/op",b_incmos,1,NS,X_IO,100},{"io.mmiohpet","ns/op",b_hpet,1,NS,X_IO,100},
};
static int cd(const void*a,const void*b){double x=*(double*)a,y=*(double*)b;return (x>y)-(x<y);}
static int netrr(const char*h,int port,double secs){int s=socket(AF_INET,SOCK_STREAM,0);struct sockaddr_in a={0};a.sin_family=AF_INET;a.sin_port=htons(port);inet_pton(AF_INET,h,&a.sin_addr);if(connect(s,(void*)&a,sizeof a)){perror("connect");return 1;}int one=1;setsockopt(s,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one);char c=0;u64 n=0;double t=now();while(now()-t<secs){if(write(s,&c,1)!=1||read(s,&c,1)!=1)return 1;n++;}double e=now()-t;printf("RESULT net.tcp_rr %.2f us/rt n=%lu\n",e/n*1e6,n);return 0;}
static int netsrv(int port){int l=socket(AF_INET,SOCK_STREAM,0);int one=1;setsockopt(l,SOL_SOCKET,SO_REUSEADDR,&one,sizeof one);struct sockaddr_in a={0};a.sin_family=AF_INET;a.sin_port=htons(port);if(bind(l,(void*)&a,sizeof a)||listen(l,5)){perror("bind");return 1;}for(;;){int s=accept(l,0,0);setsockopt(s,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one);char c;while(read(s,&c,1)==1)if(write(s,&c,1)!=1)break;close(s);}}
int main(int ac,char**av){
 if(ac>1&&!strcmp(av[1],"--true"))return 0;
 if(ac>2&&!strcmp(av[1],"--forkn")){forkn(strtoul(av[2],0,10));return 0;}
 if(ac>3&&!strcmp(av[1],"netrr"))return netrr(av[2],atoi(av[3]),ac>4?atof(av[4]):2);
 if(ac>2&&!strcmp(av[1],"netsrv"))return netsrv(atoi(av[2]));
 if(ac>3&&!strcmp(av[1],"timeit")){ // bench timeit NAME cmd... : best+median of $REPS (default 3)
  int reps=getenv("REPS")?atoi(getenv("REPS")):3;double el[64],us[64];if(reps>64)reps=64;
  printf("@@B %s\n",av[2]);fflush(stdout);
  for(int i=0;i<reps;i++){struct rusage r0,r1;getrusage(RUSAGE_CHILDREN,&r0);double t=now();pid_t k=fork();if(!k){int f=open("/dev/null",O_RDWR);dup2(f,0);dup2(f,1);execvp(av[3],av+3);_exit(127);}int st;waitpid(k,&st,0);el[i]=now()-t;getrusage(RUSAGE_CHILDREN,&r1);
   us[i]=(r1.ru_utime.tv_sec-r0.ru_utime.tv_sec)+(r1.ru_utime.tv_usec-r0.ru_utime.tv_usec)*1e-6+(r1.ru_stime.tv_sec-r0.ru_stime.tv_sec)+(r1.ru_stime.tv_usec-r0.ru_stime.tv_usec)*1e-6;
   if(st){printf("RESULT %s FAIL st=%x\n",av[2],st);fflush(stdout);return 1;}}
  printf("@@E %s\n",av[2]);qsort(el,reps,sizeof(double),cd);qsort(us,reps,sizeof(double),cd);
  printf("RESULT %s %.4f s cpu=%.4f min=%.4f max=%.4f n=%d\n",av[2],el[reps/2],us[reps/2],el[0],el[reps-1],reps);return 0;}
 double tgt=0.3;int reps=3,marks=0,io=0;int i=1;
 for(;i<ac&&av[i][0]=='-';i++){if(!strcmp(av[i],"-t"))tgt=atof(av[++i]);else if(!strcmp(av[i],"-r"))reps=atoi(av[++i]);else if(!strcmp(av[i],"-m"))marks=1;else if(!strcmp(av[i],"-x"))io=1;else if(!strcmp(av[i],"-l")){for(unsigned k=0;k<sizeof T/sizeof*T;k++)puts(T[k].name);return 0;}}
 if(reps>32)reps=32;
 buf=mmap(0,BUFSZ,PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);filltext(buf,BUFSZ);for(u32 k=0;k<256;k++){u32 c=k;for(int j=0;j<8;j++)c=c&1?0xEDB88320u^(c>>1):c>>1;crct[k]=c;}
 __builtin_cpu_init();int ncpu=sysconf(_SC_NPROCESSORS_ONLN);
 for(unsigned k=0;k<sizeof T/sizeof*T;k++){struct bm*b=&T[k];int sel=i>=ac;for(int j=i;j<ac;j++)if(!strncmp(av[j],b->name,strlen(av[j])))sel=1;if(!sel)continue;
  if((b->need&X_IO)&&!io)continue;
  const char*why=0;if((b->need&X_AVX2)&&!__builtin_cpu_supports("avx2"))why="noavx2";if((b->need&X_FMA)&&!__builtin_cpu_supports("fma"))why="nofma";if((b->need&X_AES)&&!__builtin_cpu_supports("aes"))why="noaes";if((b->need&X_PCL)&&!__builtin_cpu_supports("pclmul"))why="nopclmul";if((b->need&X_SMP)&&ncpu<2)why="nosmp";
  if(why){printf("RESULT %s SKIP %s\n",b->name,why);fflush(stdout);continue;}
  u64 n=b->n0;double t,e,c;if(!strncmp(b->name,"mem.",4)||!strncmp(b->name,"dbt.",4))b->fn(8);for(;;){t=now();b->fn(n);e=now()-t;if(e>=tgt*0.25||e>=0.2||n>(1ull<<40))break;double m=e>1e-6?tgt*0.35/e:100;if(m<2)m=2;if(m>50)m=50;n*=m;}
  double m=tgt/e;if(m>1.3)n*=m;if(!n)n=1;if(b->fn==b_qsort)n=1;
  double v[32],cv[32];if(marks){printf("@@B %s\n",b->name);fflush(stdout);}
  for(int r=0;r<reps;r++){c=cpu();t=now();b->fn(n);e=now()-t;c=cpu()-c;if(c<=0)c=1e-6;v[r]=b->kind==RATE?n*b->per/e:e*1e9/n*b->per;cv[r]=b->kind==RATE?n*b->per/c:c*1e9/n*b->per;}
  if(marks){printf("@@E %s n=%lu per=%g kind=%d\n",b->name,(unsigned long)n*reps,b->per,b->kind);}
  qsort(v,reps,sizeof(double),cd);qsort(cv,reps,sizeof(double),cd);double md=v[reps/2],best=b->kind==RATE?v[reps-1]:v[0];printf("RESULT %s %.6g %s best=%.6g cpu=%.6g spread=%.1f%% n=%lu\n",b->name,md,b->unit,best,cv[reps/2],(v[reps-1]-v[0])/md*100,(unsigned long)n);fflush(stdout);
 }
 return 0;}
