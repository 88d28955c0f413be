//! The devices that tensors live on.

pub use burn::tensor::Device;
pub use burn::tensor::Tensor;

/// The processor of this machine.
pub fn cpu() -> Device {
    Device::flex()
}

/// Whether tensors of `device` lie in this process's memory.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == cpu()
}

/// The first GPU that a driver offers.
#[cfg(feature = "gpu")]
pub fn gpu() -> Device {
    Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
}
