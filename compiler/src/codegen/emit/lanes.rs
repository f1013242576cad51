//! Lane operations as Cranelift instructions, on one element or a 128-bit vector: what the elementary functions are
//! written in.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use dp_runtime::lanes::Lanes;

/// Floats of `BITS` bits, one or a vector of them.
pub struct Clif<'e, 'b, const BITS: u32> {
    pub b: &'e mut FunctionBuilder<'b>,
    /// True for a vector.
    pub vector: bool,
}

impl<const BITS: u32> Clif<'_, '_, BITS> {
    fn float(&self) -> Type {
        match (BITS, self.vector) {
            (32, false) => types::F32,
            (32, true) => types::F32X4,
            (_, false) => types::F64,
            (_, true) => types::F64X2,
        }
    }

    fn int(&self) -> Type {
        match (BITS, self.vector) {
            (32, false) => types::I32,
            (32, true) => types::I32X4,
            (_, false) => types::I64,
            (_, true) => types::I64X2,
        }
    }

    fn spread(&mut self, scalar: Value) -> Value {
        if !self.vector {
            return scalar;
        }
        let ty = self.float();
        self.b.ins().splat(ty, scalar)
    }

    pub fn int_bits(&mut self, a: Value) -> Value {
        let ty = self.int();
        self.b.ins().bitcast(ty, MemFlagsData::new(), a)
    }

    pub fn float_of(&mut self, a: Value) -> Value {
        let ty = self.float();
        self.b.ins().bitcast(ty, MemFlagsData::new(), a)
    }
}

impl<const N: u32> Lanes for Clif<'_, '_, N> {
    type V = Value;
    type M = Value;
    const BITS: u32 = N;

    fn splat(&mut self, value: f64) -> Value {
        let scalar = if N == 32 { self.b.ins().f32const(value as f32) } else { self.b.ins().f64const(value) };
        self.spread(scalar)
    }

    fn splat_bits(&mut self, bits: u64) -> Value {
        let scalar = if N == 32 {
            self.b.ins().f32const(f32::from_bits(bits as u32))
        } else {
            self.b.ins().f64const(f64::from_bits(bits))
        };
        self.spread(scalar)
    }

    fn add(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fadd(a, b)
    }

    fn sub(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fsub(a, b)
    }

    fn mul(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fmul(a, b)
    }

    fn div(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fdiv(a, b)
    }

    fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.b.ins().fma(a, b, c)
    }

    fn sqrt(&mut self, a: Value) -> Value {
        self.b.ins().sqrt(a)
    }

    fn neg(&mut self, a: Value) -> Value {
        self.b.ins().fneg(a)
    }

    fn abs(&mut self, a: Value) -> Value {
        self.b.ins().fabs(a)
    }

    fn round_even(&mut self, a: Value) -> Value {
        self.b.ins().nearest(a)
    }

    fn floor(&mut self, a: Value) -> Value {
        self.b.ins().floor(a)
    }

    fn ceil(&mut self, a: Value) -> Value {
        self.b.ins().ceil(a)
    }

    fn trunc(&mut self, a: Value) -> Value {
        self.b.ins().trunc(a)
    }

    fn lt(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fcmp(FloatCC::LessThan, a, b)
    }

    fn le(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fcmp(FloatCC::LessThanOrEqual, a, b)
    }

    fn eq(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fcmp(FloatCC::Equal, a, b)
    }

    fn mask_and(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().band(a, b)
    }

    fn mask_or(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().bor(a, b)
    }

    fn mask_not(&mut self, a: Value) -> Value {
        if self.vector { self.b.ins().bnot(a) } else { self.b.ins().bxor_imm_u(a, 1) }
    }

    fn select(&mut self, mask: Value, yes: Value, no: Value) -> Value {
        if !self.vector {
            return self.b.ins().select(mask, yes, no);
        }
        let mask = self.float_of(mask);
        self.b.ins().bitselect(mask, yes, no)
    }

    fn bit_and(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().band(a, b)
    }

    fn bit_or(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().bor(a, b)
    }

    fn bit_xor(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().bxor(a, b)
    }

    fn bits_add(&mut self, a: Value, b: Value) -> Value {
        let (a, b) = (self.int_bits(a), self.int_bits(b));
        let sum = self.b.ins().iadd(a, b);
        self.float_of(sum)
    }

    fn bits_sub(&mut self, a: Value, b: Value) -> Value {
        let (a, b) = (self.int_bits(a), self.int_bits(b));
        let difference = self.b.ins().isub(a, b);
        self.float_of(difference)
    }

    fn bits_shl(&mut self, a: Value, by: u32) -> Value {
        let a = self.int_bits(a);
        let by = self.b.ins().iconst(types::I32, i64::from(by));
        let shifted = self.b.ins().ishl(a, by);
        self.float_of(shifted)
    }

    fn bits_shr(&mut self, a: Value, by: u32) -> Value {
        let a = self.int_bits(a);
        let by = self.b.ins().iconst(types::I32, i64::from(by));
        let shifted = self.b.ins().ushr(a, by);
        self.float_of(shifted)
    }
}
