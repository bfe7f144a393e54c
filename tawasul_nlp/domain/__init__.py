"""The domain as data: kinds, topics, agencies, places, routing rules and personal numbers of one country.

Bahrain's pack is bundled and is the default; :meth:`Domain.load` reads another one, which everything accepts.

>>> from tawasul_nlp.domain import Domain, find_places
>>> find_places("القمامة متراكمة في الرفاع الشرقي مجمع 925").governorate
'southern'
>>> Domain.bundled().taxonomy.agency("southern_municipality").name_ar
'بلدية المنطقة الجنوبية'
"""

from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.find import find_places
from tawasul_nlp.domain.places.mentions import Places

__all__ = ["Domain", "Places", "find_places"]
