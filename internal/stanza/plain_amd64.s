#include "textflag.h"

// STOP sets the bytes of dst at which the scanner has to stop among those of x. Signed, what is less
// than a space is a control character or above ASCII.
#define STOP(x, dst) \
	VPCMPGTB x, Y1, dst; \
	VPCMPEQB x, Y0, Y8;  \
	VPCMPEQB x, Y2, Y9;  \
	VPCMPEQB x, Y3, Y10; \
	VPOR     Y8, dst, dst; \
	VPOR     Y9, Y10, Y10; \
	VPOR     Y10, dst, dst

// func plainVector(b []byte, other byte) int
TEXT ·plainVector(SB), NOSPLIT, $0-40
	MOVQ         b_base+0(FP), SI
	MOVQ         b_len+8(FP), CX
	MOVBLZX      other+24(FP), AX
	MOVQ         AX, X0
	VPBROADCASTB X0, Y0
	MOVL         $0x20, AX
	MOVQ         AX, X1
	VPBROADCASTB X1, Y1
	MOVL         $0x3C, AX
	MOVQ         AX, X2
	VPBROADCASTB X2, Y2
	MOVL         $0x26, AX
	MOVQ         AX, X3
	VPBROADCASTB X3, Y3
	XORQ         AX, AX

pair:
	LEAQ    64(AX), DX
	CMPQ    DX, CX
	JA      single
	VMOVDQU (SI)(AX*1), Y4
	VMOVDQU 32(SI)(AX*1), Y5
	STOP(Y4, Y6)
	STOP(Y5, Y7)
	VPOR    Y6, Y7, Y8
	VPTEST  Y8, Y8
	JNZ     inPair
	MOVQ    DX, AX
	JMP     pair

inPair:
	VPMOVMSKB Y6, DX
	VPMOVMSKB Y7, BX
	SHLQ      $32, BX
	ORQ       BX, DX
	JMP       found

single:
	LEAQ      32(AX), DX
	CMPQ      DX, CX
	JA        last
	VMOVDQU   (SI)(AX*1), Y4
	STOP(Y4, Y6)
	VPMOVMSKB Y6, BX
	TESTL     BX, BX
	JNZ       inSingle
	MOVQ      DX, AX

last:
	CMPQ      AX, CX
	JEQ       done
	LEAQ      -32(CX), AX
	VMOVDQU   (SI)(AX*1), Y4
	STOP(Y4, Y6)
	VPMOVMSKB Y6, BX
	TESTL     BX, BX
	JNZ       inSingle
	MOVQ      CX, AX
	JMP       done

inSingle:
	MOVQ BX, DX

found:
	BSFQ DX, DX
	ADDQ DX, AX

done:
	VZEROUPPER
	MOVQ AX, ret+32(FP)
	RET
