"""What sample households spend money on: categories, merchants, usual amounts and hours of the day.

Amounts are medians in US dollars; every merchant and bank is invented or generic.
"""

from __future__ import annotations

from dataclasses import dataclass

TREE = {
    "Home": ("Rent and mortgage", "Utilities", "Internet and phone", "Home improvement"),
    "Food": ("Groceries", "Restaurants", "Coffee and snacks"),
    "Transport": ("Fuel", "Rides and transit", "Parking and tolls", "Car upkeep"),
    "Health": ("Pharmacy", "Doctors", "Fitness"),
    "Leisure": ("Entertainment", "Subscriptions", "Books and hobbies"),
    "Shopping": ("Clothing", "Electronics", "Gifts"),
    "Family": ("School", "Pets", "Personal care"),
    "Travel": ("Flights", "Lodging", "Sights and tours"),
    "Finance": ("Insurance", "Taxes and fees"),
}
"""Parent categories and their children. Expenses are in children."""


@dataclass(frozen=True)
class Habit:
    """Something bought again and again. `hours` are (hour, how often) peaks of the day."""

    category: str
    weekday: float
    weekend: float
    amount: float
    spread: float
    hours: tuple[tuple[float, float], ...]
    merchants: tuple[str, ...]


@dataclass(frozen=True)
class Bill:
    """Something paid on a fixed day, every so many months, by a share of the households.

    `spread` is how much households differ (log scale), `wobble` how much one household's bills do,
    `season` the extra part at the height of winter.
    """

    category: str
    share: float
    amount: float
    spread: float
    wobble: float
    merchants: tuple[str, ...]
    every_months: int = 1
    season: float = 0.0
    in_dollars: bool = False


# fmt: off
HOME_HABITS = (
    Habit("Groceries", 26, 30, 34, 0.65, ((11, 3), (18, 5)), (
        "Green Basket Market", "Maple Street Grocer", "FreshWay", "Harvest Lane Foods", "Super El Roble",
        "Corner Pantry", "Valle Verde Market", "Daily Bread & Co", "Bluebird Supermarket", "La Cosecha",
        "Northside Farmers Market", "Panadería San Martín")),
    Habit("Restaurants", 17, 26, 23, 0.6, ((12.7, 5), (19.7, 5)), (
        "Trattoria Lucia", "The Copper Pot", "Soda La Esquina", "Noodle Harbor", "Burger Yard", "Taquería Don Beto",
        "Green Fork", "Sakura Kitchen", "Pizzeria Forno Blu", "Golden Wok", "The Olive Terrace", "Marisquería El Faro",
        "Saffron House", "Sandwich Works")),
    Habit("Coffee and snacks", 18, 12, 5.2, 0.4, ((8, 7), (15.5, 4)), (
        "Bean & Barrel", "Café Aurora", "Morning Lark Coffee", "Daily Grind", "Juice Corner", "Dulce Rincón",
        "Tea Leaf Lane", "Vending 24")),
    Habit("Rides and transit", 12, 9, 8.5, 0.55, ((7.7, 5), (17.8, 5)), (
        "CityLink Transit", "GoRide", "Metro Card Top-up", "Taxi Rojo", "BikeShare Loop", "Express Bus Co")),
    Habit("Fuel", 5, 5, 41, 0.35, ((8, 3), (17.5, 5)), (
        "Summit Fuel", "Estación El Puente", "RoadStar", "Delta Gas", "Servicentro La Curva")),
    Habit("Parking and tolls", 5, 4, 4, 0.5, ((9, 5), (18.5, 3)), (
        "Central Parking", "Autopista Norte", "ParkEasy", "Bridge Toll Authority")),
    Habit("Pharmacy", 3.5, 3, 17, 0.7, ((10.5, 3), (18, 4)), (
        "Farmacia La Salud", "WellCare Pharmacy", "Greencross Drugstore", "Botica Central")),
    Habit("Doctors", 0.9, 0.2, 68, 0.6, ((10, 5), (15, 4)), (
        "Clínica Santa Elena", "Dr. Ramos Dental", "Family Health Center", "VisionPlus Optics", "LabTest Diagnostics")),
    Habit("Entertainment", 2.4, 6, 22, 0.6, ((16, 2), (20.5, 6)), (
        "Cinema Paradiso", "Lucky Strike Lanes", "Teatro del Parque", "Riverside Arena", "Escape Room 9",
        "The Blue Note Bar")),
    Habit("Books and hobbies", 1.8, 2.4, 21, 0.6, ((13, 3), (19, 4)), (
        "Page & Ink", "Librería Universal", "Craft Cabin", "Green Thumb Nursery", "Vinyl Attic")),
    Habit("Clothing", 2.1, 4, 46, 0.65, ((13, 3), (17.5, 5)), (
        "Thread & Co", "Urban Loom", "Zapatería Moderna", "Nova Outlet", "Sport District")),
    Habit("Electronics", 0.7, 1, 118, 0.9, ((12.5, 3), (20, 4)), (
        "Circuit House", "TecnoMundo", "PixelPoint", "The Charger Shop")),
    Habit("Gifts", 0.9, 1.4, 32, 0.6, ((13, 3), (18, 3)), ("Flores del Valle", "The Gift Box", "Little Wonders Toys")),
    Habit("Home improvement", 1.6, 2.8, 47, 0.9, ((10.5, 5), (16, 3)), (
        "Ferretería El Martillo", "Home & Timber", "Lamp Studio", "CleanPro Supplies")),
    Habit("Personal care", 1.9, 2.4, 23, 0.5, ((11, 3), (16.5, 4)), (
        "Salon Bella", "Barbería Clásica", "Pure Skin Studio", "Nails by Ana")),
    Habit("Pets", 1.1, 1.3, 36, 0.5, ((11, 4), (17, 3)), ("Happy Paws", "Veterinaria San Bernardo", "Pet Pantry")),
    Habit("Car upkeep", 0.6, 0.5, 96, 0.8, ((9.5, 6),), ("AutoFix Garage", "Llantas del Sur", "Sparkle Car Wash")),
    Habit("Taxes and fees", 0.4, 0.1, 14, 0.6, ((10, 5),), ("Bank fee", "Municipal services", "Passport office")),
)

TRIP_HABITS = (
    Habit("Restaurants", 34, 34, 27, 0.6, ((13, 5), (20, 6)), (
        "Harbor View Grill", "Brasserie du Port", "Plaza Mayor Tapas", "Old Town Tavern", "Airport Deli",
        "Beachside Ceviche")),
    Habit("Coffee and snacks", 22, 22, 6, 0.4, ((8.5, 6), (16, 4)), (
        "Café de la Gare", "Station Kiosk", "Gelato Mio", "Sunrise Bakery")),
    Habit("Rides and transit", 18, 18, 14, 0.6, ((9.5, 5), (18, 5)), (
        "Airport Shuttle", "Metro Visitor Pass", "Harbor Ferries", "Capital Taxi")),
    Habit("Sights and tours", 12, 12, 24, 0.7, ((10.5, 6), (15, 4)), (
        "National Museum", "City Walks", "Castle Gardens", "Volcano Tours")),
    Habit("Groceries", 8, 8, 15, 0.5, ((18, 5),), ("Mini Mart Central", "Express Market")),
    Habit("Gifts", 6, 6, 20, 0.6, ((16, 5),), ("Souvenir Plaza", "Artisan Market", "Duty Free One")),
    Habit("Lodging", 4, 4, 88, 0.4, ((9.5, 5),), ("Hotel Miramar", "Casa Azul Guesthouse", "Grand Park Hotel")),
)

BILLS = (
    Bill("Rent and mortgage", 0.86, 820, 0.35, 0.0, (
        "Oakwood Residences", "Inmobiliaria Los Pinos", "Harbor Home Loans", "Riverside Property Mgmt")),
    Bill("Utilities", 0.92, 58, 0.35, 0.1, ("City Power & Light", "Luz del Valle", "Northern Energy"), season=0.45),
    Bill("Utilities", 0.72, 24, 0.3, 0.15, ("Municipal Water", "Aguas Claras")),
    Bill("Internet and phone", 0.9, 42, 0.2, 0.0, ("FiberNet", "Cable Andino", "SkyLink Broadband")),
    Bill("Internet and phone", 0.95, 23, 0.35, 0.04, ("Movil Uno", "ClearCall Mobile", "Orbit Wireless")),
    Bill("Subscriptions", 0.68, 12.99, 0.0, 0.0, ("StreamBox",), in_dollars=True),
    Bill("Subscriptions", 0.6, 9.99, 0.0, 0.0, ("Melodia Music",)),
    Bill("Subscriptions", 0.35, 2.99, 0.0, 0.0, ("CloudVault Storage",), in_dollars=True),
    Bill("Subscriptions", 0.3, 7.99, 0.0, 0.0, ("The Morning Post", "El Diario Digital")),
    Bill("Subscriptions", 0.18, 19.99, 0.0, 0.0, ("GameSphere Plus",), in_dollars=True),
    Bill("Fitness", 0.3, 33, 0.3, 0.0, ("Iron Works Gym", "Yoga Loft", "AquaCenter")),
    Bill("Insurance", 0.5, 61, 0.4, 0.0, ("Shield Mutual", "Seguros del Istmo")),
    Bill("School", 0.22, 210, 0.4, 0.0, ("Little Oaks School", "Colegio San Gabriel", "Music Academy")),
    Bill("Car upkeep", 0.3, 88, 0.3, 0.15, ("AutoFix Garage", "Taller Hermanos Mora"), every_months=6),
    Bill("Insurance", 0.25, 190, 0.4, 0.05, ("Shield Mutual Auto", "Aseguradora Central"), every_months=3),
    Bill("Taxes and fees", 0.55, 260, 0.6, 0.08, ("Property Tax Office", "Vehicle Registration"), every_months=12),
    Bill("Subscriptions", 0.4, 79, 0.4, 0.0, ("Office Suite Annual", "DomainHost", "Warehouse Club"), every_months=12),
)
# fmt: on

FLIGHT_MERCHANTS = ("Air Horizonte", "Pacific Wings", "EuroSky")
HOTEL_MERCHANTS = ("BookAStay", "Hotel Miramar", "Grand Park Hotel")

BANKS = (
    "First Harbor Bank",
    "Banco del Istmo",
    "Meridian Credit Union",
    "Cooperativa Horizonte",
    "Union Savings",
    "NovaBank",
)
FIRST_NAMES = (
    *("ana", "bruno", "carla", "daniel", "elena", "felipe", "grace", "hugo", "ines", "james", "karen", "luis"),
    *("maria", "nora", "oscar", "paula", "quinn", "rosa", "samuel", "teresa", "ursula", "victor", "wendy", "yuki"),
)
LAST_NAMES = (
    *("alvarez", "brenes", "castro", "dubois", "evans", "fischer", "garcia", "hansen", "ito", "jimenez", "kowalski"),
    *("lopez", "mora", "nguyen", "okafor", "pereira", "quiros", "rossi", "silva", "tanaka", "ulloa", "vargas", "wong"),
)
