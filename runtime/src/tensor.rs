//! Dense arrays as values: five element kinds over `ndarray`, cheap to clone, always in standard
//! (row-major, contiguous) layout.

use ndarray::{ArcArray, ArrayD, IxDyn};

/// The kind of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum DType {
    F32,
    F64,
    I64,
    Bool,
    /// The state of a random stream: a 64-bit name.
    Key,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::F64 | DType::I64 | DType::Key => 8,
            DType::Bool => 1,
        }
    }

    /// The short name used in printed Graphs.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I64 => "i64",
            DType::Bool => "bool",
            DType::Key => "key",
        }
    }

    /// True for the two floating-point kinds, the only ones that have tangents.
    pub fn is_float(self) -> bool {
        match self {
            DType::F32 | DType::F64 => true,
            DType::I64 | DType::Bool | DType::Key => false,
        }
    }
}

/// A dense array of one element kind. Cloning shares the elements.
#[derive(Clone, Debug)]
pub enum Tensor {
    F32(ArcArray<f32, IxDyn>),
    F64(ArcArray<f64, IxDyn>),
    I64(ArcArray<i64, IxDyn>),
    Bool(ArcArray<bool, IxDyn>),
    Key(ArcArray<u64, IxDyn>),
}

/// Runs `$body` with `$a` bound to the array of whatever kind `$tensor` holds.
#[macro_export]
macro_rules! for_any_tensor {
    ($tensor:expr, $a:ident => $body:expr) => {
        match $tensor {
            $crate::tensor::Tensor::F32($a) => $body,
            $crate::tensor::Tensor::F64($a) => $body,
            $crate::tensor::Tensor::I64($a) => $body,
            $crate::tensor::Tensor::Bool($a) => $body,
            $crate::tensor::Tensor::Key($a) => $body,
        }
    };
}

/// An element type that a `Tensor` can hold.
pub trait Element: Copy + Send + Sync + PartialEq + std::fmt::Debug + 'static {
    const DTYPE: DType;
    fn wrap(array: ArcArray<Self, IxDyn>) -> Tensor;
    /// The array of a tensor of this kind.
    ///
    /// # Panics
    /// If the tensor holds another kind: callers have checked types before.
    fn array(tensor: &Tensor) -> &ArcArray<Self, IxDyn>;
}

macro_rules! element {
    ($ty:ty, $variant:ident) => {
        impl Element for $ty {
            const DTYPE: DType = DType::$variant;
            fn wrap(array: ArcArray<Self, IxDyn>) -> Tensor {
                Tensor::$variant(array)
            }
            fn array(tensor: &Tensor) -> &ArcArray<Self, IxDyn> {
                match tensor {
                    Tensor::$variant(a) => a,
                    other => panic!("expected {} elements, found {}", Self::DTYPE.name(), other.dtype().name()),
                }
            }
        }
    };
}
element!(f32, F32);
element!(f64, F64);
element!(i64, I64);
element!(bool, Bool);
element!(u64, Key);

impl Tensor {
    /// A tensor from elements in row-major order.
    ///
    /// # Panics
    /// If the number of elements is not the product of the shape.
    pub fn from_vec<T: Element>(shape: &[usize], data: Vec<T>) -> Tensor {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "elements against shape {shape:?}");
        let array = ArrayD::from_shape_vec(IxDyn(shape), data).expect("the length was checked");
        T::wrap(array.into_shared())
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::from_vec(&[], vec![value])
    }

    /// A tensor from any ndarray, brought to standard layout.
    pub fn from_array<T: Element>(array: ArrayD<T>) -> Tensor {
        let array = if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() };
        T::wrap(array.into_shared())
    }

    /// A real scalar of the given float kind, or an integer or bool scalar of the nearest value.
    pub fn scalar_of(dtype: DType, value: f64) -> Tensor {
        Tensor::full(dtype, &[], value)
    }

    /// A tensor with every element equal to `value` converted to `dtype`.
    pub fn full(dtype: DType, shape: &[usize], value: f64) -> Tensor {
        let n = shape.iter().product();
        match dtype {
            DType::F32 => Tensor::from_vec(shape, vec![value as f32; n]),
            DType::F64 => Tensor::from_vec(shape, vec![value; n]),
            DType::I64 => Tensor::from_vec(shape, vec![value as i64; n]),
            DType::Bool => Tensor::from_vec(shape, vec![value != 0.0; n]),
            DType::Key => Tensor::from_vec(shape, vec![value as u64; n]),
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            Tensor::F32(_) => DType::F32,
            Tensor::F64(_) => DType::F64,
            Tensor::I64(_) => DType::I64,
            Tensor::Bool(_) => DType::Bool,
            Tensor::Key(_) => DType::Key,
        }
    }

    pub fn shape(&self) -> &[usize] {
        for_any_tensor!(self, a => a.shape())
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        for_any_tensor!(self, a => a.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in row-major order.
    ///
    /// # Panics
    /// If the tensor holds another kind.
    pub fn as_slice<T: Element>(&self) -> &[T] {
        T::array(self).as_slice().expect("tensors are in standard layout")
    }

    /// The elements in row-major order; nothing is copied if no other tensor shares them.
    ///
    /// # Panics
    /// If the tensor holds another kind.
    pub fn into_vec<T: Element>(self) -> Vec<T> {
        let array = T::array(&self).clone();
        drop(self);
        let (data, offset) = array.into_owned().into_raw_vec_and_offset();
        assert_eq!(offset.unwrap_or(0), 0, "tensors own whole vectors");
        data
    }

    /// The elements as f64 in row-major order (bool as 0 and 1, keys rounded).
    pub fn to_f64_vec(&self) -> Vec<f64> {
        match self {
            Tensor::F32(a) => a.iter().map(|&v| f64::from(v)).collect(),
            Tensor::F64(a) => a.iter().copied().collect(),
            Tensor::I64(a) => a.iter().map(|&v| v as f64).collect(),
            Tensor::Bool(a) => a.iter().map(|&v| f64::from(u8::from(v))).collect(),
            Tensor::Key(a) => a.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The single element of a one-element tensor as f64.
    ///
    /// # Panics
    /// If there is not exactly one element.
    pub fn item(&self) -> f64 {
        assert_eq!(self.len(), 1, "item of a tensor of shape {:?}", self.shape());
        self.to_f64_vec()[0]
    }

    /// The same elements under another shape of the same size.
    pub fn reshape(&self, shape: &[usize]) -> Tensor {
        match self {
            Tensor::F32(a) => Tensor::F32(a.to_shape(IxDyn(shape)).expect("same size").to_shared()),
            Tensor::F64(a) => Tensor::F64(a.to_shape(IxDyn(shape)).expect("same size").to_shared()),
            Tensor::I64(a) => Tensor::I64(a.to_shape(IxDyn(shape)).expect("same size").to_shared()),
            Tensor::Bool(a) => Tensor::Bool(a.to_shape(IxDyn(shape)).expect("same size").to_shared()),
            Tensor::Key(a) => Tensor::Key(a.to_shape(IxDyn(shape)).expect("same size").to_shared()),
        }
    }

    /// Converts the elements: int to real exactly where possible, real to int toward zero, bool to 0 and 1.
    pub fn convert(&self, to: DType) -> Tensor {
        if self.dtype() == to {
            return self.clone();
        }
        let shape = self.shape().to_vec();
        match (self, to) {
            (Tensor::I64(a), DType::Bool) => Tensor::from_vec(&shape, a.iter().map(|&v| v != 0).collect()),
            (Tensor::I64(a), DType::Key) => Tensor::from_vec(&shape, a.iter().map(|&v| v as u64).collect()),
            (Tensor::Key(a), DType::I64) => Tensor::from_vec(&shape, a.iter().map(|&v| v as i64).collect()),
            (Tensor::I64(a), DType::F32) => Tensor::from_vec(&shape, a.iter().map(|&v| v as f32).collect()),
            _ => {
                let values = self.to_f64_vec();
                match to {
                    DType::F32 => Tensor::from_vec(&shape, values.iter().map(|&v| v as f32).collect()),
                    DType::F64 => Tensor::from_vec(&shape, values),
                    DType::I64 => Tensor::from_vec(&shape, values.iter().map(|&v| v as i64).collect()),
                    DType::Bool => Tensor::from_vec(&shape, values.iter().map(|&v| v != 0.0).collect()),
                    DType::Key => Tensor::from_vec(&shape, values.iter().map(|&v| v as u64).collect()),
                }
            }
        }
    }

    /// Equal kind, shape and bits (NaNs of equal bits are the same, 0 and -0 are not).
    pub fn same_bits(&self, other: &Tensor) -> bool {
        if self.dtype() != other.dtype() || self.shape() != other.shape() {
            return false;
        }
        match (self, other) {
            (Tensor::F32(a), Tensor::F32(b)) => a.iter().zip(b.iter()).all(|(x, y)| x.to_bits() == y.to_bits()),
            (Tensor::F64(a), Tensor::F64(b)) => a.iter().zip(b.iter()).all(|(x, y)| x.to_bits() == y.to_bits()),
            (Tensor::I64(a), Tensor::I64(b)) => a == b,
            (Tensor::Bool(a), Tensor::Bool(b)) => a == b,
            (Tensor::Key(a), Tensor::Key(b)) => a == b,
            _ => false,
        }
    }
}
