//! Convolution over images whose channels lie side by side.
//!
//! Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2018), chapters 2 and 4.

pub mod doubled;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;
use kernels::convolution as kernel;

pub use kernels::convolution::Padding;

use super::bias::biased;
use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host, weights};
use crate::rows::Precision;
use crate::value::Value;
use crate::weight::{Storage, Weight, WeightTensor};

/// How a kernel goes over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Pixels from one output to the next.
    pub stride: usize,
    /// What is added around, all zero.
    pub padding: Padding,
}

impl Window {
    /// A square kernel of odd size whose outputs are as many as the pixels.
    pub const fn same(size: usize) -> Self {
        Self { kernel: [size, size], stride: 1, padding: Padding::even(size / 2) }
    }

    /// The same with an output for every `stride` pixels.
    #[must_use]
    pub const fn every(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    fn shape(self, dims: &[usize], outputs: usize) -> kernel::Shape {
        let Self { kernel, stride, padding } = self;
        let (images, height, width, inputs) = (dims[0], dims[1], dims[2], dims[3]);
        kernel::Shape { images, height, width, inputs, outputs, kernel, stride, padding }
    }

    fn options(self) -> ConvOptions<2> {
        let Padding { before, after } = self.padding;
        let mut options = ConvOptions::new([self.stride; 2], [0; 2], [1; 2], 1);
        options.padding = [(before, after); 2];
        options
    }
}

/// The op; see [`Convolution`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait ConvolutionOp: Backend {
    /// `x` `[N, H, W, C]`, `weight` `[O, kernel rows · kernel columns · C]` → `[N, H', W', O]`.
    fn convolution(
        x: FloatTensor<Self>,
        #[extension_type] weight: WeightTensor<Self>,
        window: Window,
        _precision: Precision,
    ) -> FloatTensor<Self> {
        definition::<Self>(x, weight, window)
    }

    /// The gradient of [`ConvolutionOp::convolution`] for `x` `[N, H, W, C]`, given that of its output.
    fn convolution_input_gradient(
        gradient: FloatTensor<Self>,
        #[extension_type] weight: WeightTensor<Self>,
        x: Pixels,
        window: Window,
        _precision: Precision,
    ) -> FloatTensor<Self> {
        let gradient = channels_first(Value::<Self>(gradient));
        let weight = kernel_first(weight.widened().cast_as(&gradient), window);
        let like = gradient.constant(vec![0.0; x.length()], [x.0[0], x.0[3], x.0[1], x.0[2]]);
        let found = Self::conv2d_x_backward(like.0, weight.0, gradient.0, window.options());
        channels_last(Value::<Self>(found)).0
    }

    /// The gradient of [`ConvolutionOp::convolution`] for the weight `[O, kernel rows · kernel columns · C]`.
    fn convolution_weight_gradient(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        window: Window,
        _precision: Precision,
    ) -> FloatTensor<Self> {
        let (gradient, x) = (channels_first(Value::<Self>(gradient)), channels_first(Value::<Self>(x)));
        let ([rows, columns], outputs, inputs) = (window.kernel, gradient.dims()[1], x.dims()[1]);
        let numbers = outputs * inputs * rows * columns;
        let like = gradient.constant(vec![0.0; numbers], [outputs, inputs, rows, columns]);
        let found = Self::conv2d_weight_backward(x.0, like.0, gradient.0, window.options());
        channels_last(Value::<Self>(found)).reshape([outputs, rows * columns * inputs]).0
    }
}

/// The sizes of an image tensor, `[N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub struct Pixels(pub [usize; 4]);

impl Pixels {
    fn of<B: Backend>(x: &FloatTensor<B>) -> Self {
        let shape = x.shape();
        Self(std::array::from_fn(|index| shape[index]))
    }

    fn length(self) -> usize {
        self.0.iter().product()
    }
}

/// The convolution in Burn primitives.
pub(crate) fn definition<B: Backend>(
    x: FloatTensor<B>,
    weight: WeightTensor<B>,
    window: Window,
) -> FloatTensor<B> {
    let x = channels_first(Value::<B>(x));
    let weight = kernel_first(weight.widened().cast_as(&x), window);
    channels_last(Value::<B>(B::conv2d(x.0, weight.0, None, window.options()))).0
}

/// `[N, H, W, C]` → `[N, C, H, W]`.
fn channels_first<B: Backend>(x: Value<B>) -> Value<B> {
    x.permute(&[0, 3, 1, 2])
}

/// `[N, C, H, W]` → `[N, H, W, C]`.
fn channels_last<B: Backend>(x: Value<B>) -> Value<B> {
    x.permute(&[0, 2, 3, 1])
}

/// `[O, kernel rows · kernel columns · C]` → `[O, C, kernel rows, kernel columns]`.
fn kernel_first<B: Backend>(weight: Value<B>, window: Window) -> Value<B> {
    let [rows, columns] = window.kernel;
    let (outputs, inner) = (weight.dims()[0], weight.dims()[1]);
    channels_first(weight.reshape([outputs, rows, columns, inner / (rows * columns)]))
}

impl ConvolutionOp for Flex {
    fn convolution(
        x: FloatTensor<Self>,
        weight: WeightTensor<Self>,
        window: Window,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let (x, weight) = (host(x), weights(&weight));
        let shape = window.shape(&x.dims(), weight.dims()[0]);
        let [height, width] = shape.output();
        let mut y = unwritten(shape.images * height * width * shape.outputs);
        kernel::convolution(precision, x.values(), weight.view(), None, &mut y, shape);
        from_host(y, vec![shape.images, height, width, shape.outputs])
    }

    fn convolution_input_gradient(
        gradient: FloatTensor<Self>,
        weight: WeightTensor<Self>,
        x: Pixels,
        window: Window,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let (gradient, weight) = (host(gradient), weights(&weight));
        let mut dx = unwritten(x.length());
        let shape = window.shape(&x.0, weight.dims()[0]);
        kernel::convolution_backward_input(precision, gradient.values(), weight.view(), &mut dx, shape);
        from_host(dx, x.0.to_vec())
    }

    fn convolution_weight_gradient(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        window: Window,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let (gradient, x) = (host(gradient), host(x));
        let shape = window.shape(&x.dims(), gradient.dims()[3]);
        let [_, _, length] = shape.lengths();
        let mut dw = unwritten(length);
        kernel::convolution_backward_weights(precision, x.values(), gradient.values(), &mut dw, shape);
        from_host(dw, vec![shape.outputs, length / shape.outputs])
    }
}

#[cfg(feature = "gpu")]
impl ConvolutionOp for crate::Gpu {}

#[derive(Debug)]
struct ConvolutionBackward {
    window: Window,
    precision: Precision,
}

impl<B: ConvolutionOp> Backward<B, 2> for ConvolutionBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = step.state;
        let Self { window, precision } = self;
        let gradient = gradients.consume::<B>(&step.node);
        let [x_node, weight_node] = step.parents;
        if let Some(node) = x_node {
            let (pixels, weight) = (Pixels::of::<B>(&x), WeightTensor::Dense(weight));
            let for_x = B::convolution_input_gradient(gradient.clone(), weight, pixels, window, precision);
            gradients.register::<B>(node.id, for_x);
        }
        if let Some(node) = weight_node {
            let for_weight = B::convolution_weight_gradient(gradient, x, window, precision);
            gradients.register::<B>(node.id, for_weight);
        }
    }
}

impl<B: ConvolutionOp, C: CheckpointStrategy> ConvolutionOp for Autodiff<B, C> {
    fn convolution(
        x: FloatTensor<Self>,
        weight: WeightTensor<Self>,
        window: Window,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let WeightTensor::Dense(weight) = weight else {
            panic!("weights of a convolution are numbers, by the constructor of Convolution");
        };
        let step = ConvolutionBackward { window, precision };
        let step = step.prepare::<C>([x.node(), weight.node()]).compute_bound();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let forward = |x, weight| B::convolution(x, WeightTensor::Dense(weight), window, precision);
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = forward(x.clone(), weight.clone());
                step.finish((x, weight), y)
            }
            OpsKind::UnTracked(step) => step.finish(forward(x, weight)),
        }
    }
}

/// A convolutional layer. A model only ever calls [`Convolution::forward`].
#[derive(Clone)]
pub struct Convolution {
    weight: Weight,
    bias: Option<Tensor<1>>,
    window: Window,
    added: Vec<Vec<Convolution>>,
}

impl Convolution {
    /// A layer over `weight` `[O, kernel rows · kernel columns · C]`, channels last.
    ///
    /// # Panics
    /// When the weight is stored in blocks, or its rows are no whole kernels.
    pub fn new(weight: Weight, window: Window) -> Self {
        let [rows, columns] = window.kernel;
        let [_, inner] = weight.shape();
        assert!(!matches!(weight.storage(), Storage::Blocks(_)), "weights of a convolution are numbers");
        assert!(
            inner.is_multiple_of(rows * columns),
            "rows of {inner} are no kernels of {rows} by {columns}"
        );
        Self { weight, bias: None, window, added: Vec::new() }
    }

    /// The same layer with `bias` `[O]` added to every pixel.
    #[must_use]
    pub fn with_bias(self, bias: Tensor<1>) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// The same layer with what some convolutions one behind the other give added to every pixel.
    ///
    /// # Panics
    /// When there is none, or they do not fit the layer or one another.
    #[must_use]
    pub fn with_added(mut self, chain: Vec<Self>) -> Self {
        let ends = chain.first().zip(chain.last()).map(|(first, last)| [last.shape()[0], first.shape()[1]]);
        assert_eq!(ends, Some(self.shape()), "an addition to another layer");
        let fits = |pair: &[Self]| pair[0].shape()[0] == pair[1].shape()[1];
        assert!(chain.windows(2).all(fits), "convolutions that do not fit one another");
        self.added.push(chain);
        self
    }

    /// Channels that go out and that come in.
    pub fn shape(&self) -> [usize; 2] {
        let [outputs, inner] = self.weight.shape();
        [outputs, inner / (self.window.kernel[0] * self.window.kernel[1])]
    }

    /// The convolution of every image.
    ///
    /// # Shapes
    /// `x` `[N, H, W, C]` → `[N, H', W', O]`.
    pub fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let own = if self.added.is_empty() { None } else { Some(x.clone()) };
        let y = Dispatch::convolution(x.into_dispatch(), self.weight.dispatch(), self.window, precision);
        let y = Tensor::from_dispatch(y);
        let y = match &self.bias {
            Some(bias) => biased(y, bias.clone()), // [N, H', W', O]
            None => y,
        };
        let Some(x) = own else { return y };
        let through =
            |chain: &Vec<Self>| chain.iter().fold(x.clone(), |x, layer| layer.forward(x, precision));
        self.added.iter().fold(y, |y, chain| y + through(chain)) // [N, H', W', O]
    }
}

/// Work of one call that gives `pixels` outputs of `outputs` channels each, from kernels of `inner` numbers.
pub fn cost(pixels: usize, outputs: usize, inner: usize) -> Cost {
    Cost { flops: 2 * pixels * outputs * inner, bytes: 4 * (pixels * outputs + outputs * inner) }
}
